// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package files

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"weir/internal/sys"
)

func nul(name string) []byte { return append([]byte(name), 0) }

// descriptors is how many the process has open.
func descriptors(t *testing.T) int {
	list, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(list)
}

func TestLinks(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(dir+"/real/deep", 0o755))
	require.NoError(t, os.WriteFile(dir+"/real/deep/file", []byte("12345"), 0o644))
	require.NoError(t, os.Symlink("real", dir+"/folder"))
	require.NoError(t, os.Symlink("deep/file", dir+"/real/file"))
	require.NoError(t, os.Symlink("/proc/version", dir+"/real/other")) // root's, as is this one if root runs the test
	before := descriptors(t)
	for _, c := range []struct {
		name    string
		links   Links
		trusted string
		want    syscall.Errno
	}{
		{"/real/deep/file", LinksAllowed, "", 0}, {"/folder/deep/file", LinksAllowed, "", 0}, {"/nope", LinksAllowed, "", syscall.ENOENT},
		{"/real/deep/file", LinksRefused, "", 0}, {"/folder/deep/file", LinksRefused, "", syscall.ELOOP}, {"/real/file", LinksRefused, "", syscall.ELOOP},
		{"//real///deep//file", LinksRefused, "", 0}, {"/real/deep/", LinksRefused, "", 0}, {"/real/deep/file/", LinksRefused, "", syscall.ENOTDIR},
		{"/folder/deep/file", LinksRefused, "/folder", 0}, {"/folder/file", LinksRefused, "/folder", syscall.ELOOP}, {"/nope/x", LinksRefused, "", syscall.ENOENT},
		{"/nope/x", LinksRefused, "/nope", syscall.ENOENT}, {"/folder/deep/file", LinksOfOwners, "", 0}, {"/real/file", LinksOfOwners, "", 0},
	} {
		trusted := 0
		if c.trusted != "" {
			trusted = len(dir + c.trusted)
		}
		name := nul(dir + c.name)
		f, errno := Open(name, c.links, trusted)
		require.Equal(t, c.want, errno, "%+v", c)
		require.Equal(t, string(nul(dir+c.name)), string(name), "the name is as it was")
		var info sys.FileInfo
		require.Equal(t, c.want, Stat(name, c.links, trusted, &info))
		if errno == 0 {
			require.Equal(t, info.Size, f.Size)
			if strings.HasSuffix(c.name, "file") {
				require.True(t, f.IsRegular())
				require.Equal(t, int64(5), f.Size)
			}
			f.Close()
		}
	}
	if os.Getuid() != 0 {
		_, errno := Open(nul(dir+"/real/other"), LinksOfOwners, 0)
		require.Equal(t, syscall.ELOOP, errno)
	}
	require.Equal(t, before, descriptors(t))
}

// A file that turns into a link and back is never followed.
func TestLinkInARace(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(dir+"/secret", []byte("secret"), 0o644))
	require.NoError(t, os.WriteFile(dir+"/plain", []byte("x"), 0o644))
	require.NoError(t, os.Symlink("secret", dir+"/link"))
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			from := dir + "/link2"
			if i%2 == 0 {
				_ = os.Symlink("secret", from)
			} else {
				_ = os.Link(dir+"/plain", from)
			}
			_ = os.Rename(from, dir+"/it")
		}
	}()
	for range 3000 {
		if f, errno := Open(nul(dir+"/it"), LinksRefused, 0); errno == 0 {
			require.Equal(t, int64(1), f.Size)
			f.Close()
		}
	}
	close(stop)
	<-ended
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(dir+"/sub", 0o755))
	require.NoError(t, os.WriteFile(dir+"/a", []byte("abc"), 0o644))
	require.NoError(t, os.WriteFile(dir+"/.hidden", nil, 0o644))
	require.NoError(t, os.Symlink("nowhere", dir+"/broken"))
	require.NoError(t, syscall.Mkfifo(dir+"/fifo", 0o644))
	list, err := read(dir, 100)
	require.NoError(t, err)
	kinds := map[string]string{}
	for _, e := range list {
		kinds[e.Name] = e.Kind.String()
	}
	require.Equal(t, map[string]string{"sub": "directory", "a": "file", "broken": "other", "fifo": "other"}, kinds)
	list, err = read(dir, 2)
	require.NoError(t, err)
	require.LessOrEqual(t, len(list), 2)
	_, err = read(dir+"/nope", 9)
	require.Equal(t, syscall.ENOENT, errnoOf(err))
}

func BenchmarkOpen(b *testing.B) {
	name := nul(b.TempDir() + "/f")
	require.NoError(b, os.WriteFile(string(name[:len(name)-1]), []byte("x"), 0o644))
	for b.Loop() {
		f, errno := Open(name, LinksAllowed, 0)
		if errno != 0 {
			b.Fatal(errno)
		}
		f.Close()
	}
}

// TestMayLead: what has been looked at as no link leads nowhere else, whoever's that is, also where links of owners are allowed; the file may have been exchanged for a
// link, of somebody else's, to another one of the same owner's.
func TestMayLead(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(dir+"/plain", nil, 0o644))
	require.NoError(t, os.WriteFile(dir+"/secret", nil, 0o644))
	require.NoError(t, os.Symlink("secret", dir+"/link"))
	look := func(name string) *sys.FileInfo {
		var info sys.FileInfo
		require.Zero(t, sys.StatName(sys.AtCwd, nul(dir+name), false, &info))
		return &info
	}
	for _, c := range []struct {
		own, led        string
		refused, owners bool
	}{
		{"/plain", "/plain", true, true},
		{"/plain", "/secret", false, false},
		{"/link", "/secret", false, true},
	} {
		own, led := look(c.own), look(c.led)
		require.Equal(t, c.refused, mayLead(LinksRefused, own, led), c)
		require.Equal(t, c.owners, mayLead(LinksOfOwners, own, led), c)
	}
	own, led := look("/link"), look("/secret")
	led.UID++
	require.False(t, mayLead(LinksOfOwners, own, led))
}
