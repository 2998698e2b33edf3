// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPidFileChangesHands: from one master to another and back, there is a file with the name at every moment, with the lock of one of them.
func TestPidFileChangesHands(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "weir.pid")
	files := func() (names []string) {
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	inode := func(name string) ownFile {
		f := ownFileAt(name)
		f.path = ""
		return f
	}
	old, err := lockPidFile(path)
	require.NoError(t, err)
	require.NoFileExists(t, path, "who sees a new pid file may connect")
	_, err = lockPidFile(path)
	require.ErrorContains(t, err, "weir is starting already")
	require.NoError(t, old.write())
	own := inode(path)

	for range 2 {
		next, err := lockNewPidFile(path)
		require.NoError(t, err)
		require.Equal(t, []string{"weir.pid", "weir.pid.new"}, files())
		require.NoError(t, old.stepAside())
		require.Equal(t, own, inode(path), "the name is the old one's until the new one writes")
		require.Equal(t, own, inode(path+oldSuffix))
		require.NoError(t, next.write())
		require.NotEqual(t, own, inode(path))
		require.Equal(t, []string{"weir.pid", "weir.pid.oldbin"}, files())
		_, err = lockPidFile(path)
		require.ErrorContains(t, err, "running already")

		next.unlock() // it was sent away
		require.NoError(t, old.stepBack())
		require.Equal(t, own, inode(path))
		require.Equal(t, []string{"weir.pid"}, files())
	}

	require.NoError(t, old.stepAside()) // the new one dies before it has written
	next, err := lockNewPidFile(path)
	require.NoError(t, err)
	next.file.Close()
	require.NoError(t, old.stepBack())
	require.Equal(t, []string{"weir.pid"}, files())

	next, err = lockNewPidFile(path)
	require.NoError(t, err)
	require.NoError(t, old.stepAside())
	require.NoError(t, next.write())
	third, err := lockNewPidFile(path) // an upgrade of the new one, while the old one still drains
	require.NoError(t, err)
	require.NoError(t, next.stepAside())
	require.NoError(t, third.write())
	old.leave()
	require.Equal(t, []string{"weir.pid", "weir.pid.oldbin"}, files(), "the name beside it is the second one's by now")
	next.leave()
	require.Equal(t, []string{"weir.pid"}, files())
	third.remove()
	require.Empty(t, files())

	require.NoError(t, os.WriteFile(path+oldSuffix, []byte("1\n"), 0o644)) // left behind by a master that was killed
	again, err := lockPidFile(path)
	require.NoError(t, err)
	require.Equal(t, []string{"weir.pid.new"}, files())
	require.NoError(t, again.write())
	require.Equal(t, []string{"weir.pid"}, files())
	again.unlock() // killed: its file stays
	again, err = lockPidFile(path)
	require.NoError(t, err)
	require.Equal(t, os.Getpid(), again.stale)
	again.remove()
	require.Empty(t, files())
}
