// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package logfile

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"weir/internal/offload"
)

// quietLoop is a loop that a test drains itself.
type quietLoop struct{}

func (quietLoop) Wake() {}

type namedTest struct {
	*NamedFiles
	t      *testing.T
	dir    string
	queue  offload.Queue
	faults []string
	at     time.Time
}

func newNamedTest(t *testing.T) *namedTest {
	n := &namedTest{t: t, dir: t.TempDir(), at: time.Unix(1_000_000, 0)}
	n.queue.Bind(quietLoop{})
	n.NamedFiles = NewNamedFiles(n.queue.NewPromptThread(), func(err error) { n.faults = append(n.faults, err.Error()) })
	n.now = func() time.Time { return n.at }
	return n
}

func (n *namedTest) path(name string) string { return filepath.Join(n.dir, name) }

func (n *namedTest) write(root, name, line string, cache *FileCache) {
	n.Write([]byte(root), []byte(n.path(name)), []byte(line), cache)
	n.queue.Drain()
}

func (n *namedTest) wants(name, text string) {
	n.t.Helper()
	got, err := os.ReadFile(n.path(name))
	require.NoError(n.t, err)
	require.Equal(n.t, text, string(got))
}

func TestNamedFiles(t *testing.T) {
	n := newNamedTest(t)
	n.write("", "a", "one", nil)
	n.write(n.dir, "b", "two", nil)
	n.write(n.dir, "a", "three", nil)
	n.wants("a", "one\nthree\n")
	n.wants("b", "two\n")
	require.Empty(t, n.faults)
	n.write(n.path("none"), "c", "lost", nil)
	n.at = n.at.Add(2 * time.Second)
	n.write(n.path("a"), "c", "lost", nil)
	n.write("", "none/c", "lost", nil)
	require.NoFileExists(t, n.path("c"))
	require.Equal(t, []string{`testing "` + n.path("none") + `" existence failed (2: No such file or directory); 1 lines dropped`,
		`testing "` + n.path("a") + `" existence failed (20: Not a directory); 1 lines dropped`}, n.faults)
	require.EqualValues(t, 3, n.Dropped())
	require.Zero(t, n.waiting)
}

// TestNamedFilesBound: lines that a slow disk has not taken are bounded.
func TestNamedFilesBound(t *testing.T) {
	n := newNamedTest(t)
	line := make([]byte, 100<<10)
	for range 20 {
		n.Write(nil, []byte(n.path("a")), line, nil)
	}
	require.EqualValues(t, 10, n.Dropped())
	n.queue.Drain()
	require.Zero(t, n.waiting)
}

func TestFileCache(t *testing.T) {
	n := newNamedTest(t)
	c := NewFileCache(2, 10*time.Second, 5*time.Second, 2)
	open := func(name string) bool {
		e := c.byPath[n.path(name)]
		return e != nil && e.Value.(*cachedFile).fd >= 0
	}
	n.write("", "a", "1", c)
	require.False(t, open("a"), "it has to be used twice")
	n.write("", "a", "2", c)
	require.True(t, open("a"))
	require.NoError(t, os.Rename(n.path("a"), n.path("a.old")))
	n.write("", "a", "3", c)
	n.wants("a.old", "1\n2\n3\n")
	n.at = n.at.Add(5 * time.Second)
	n.write("", "a", "4", c)
	n.wants("a", "4\n")
	n.at = n.at.Add(10 * time.Second)
	n.write("", "b", "5", c)
	require.False(t, open("a"), "it was not used for a while")
	n.write("", "a", "6", c)
	n.write("", "a", "7", c)
	n.write("", "c", "8", c)
	require.Len(t, c.byPath, 2)
	require.True(t, open("a"))
	n.write("", "none/d", "lost", c)
	n.write("", "none/e", "lost", c)
	require.True(t, open("a"), "what cannot be opened takes no place")
	n.Forget(c)
	require.False(t, open("a"))
	n.wants("a", "4\n6\n7\n")
}
