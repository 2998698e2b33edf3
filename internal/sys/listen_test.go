// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package sys

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func option(t *testing.T, fd, level, opt int) int {
	t.Helper()
	v, err := unix.GetsockoptInt(fd, level, opt)
	require.NoError(t, err)
	return v
}

func TestListenSetsItsOptions(t *testing.T) {
	to := SockaddrTCP(netip.MustParseAddrPort("127.0.0.1:0"))
	fd, err := Listen(&to, &ListenOptions{
		Backlog: 5, ReusePort: true, Rcvbuf: 65536, Sndbuf: 32768,
		KeepAlive: 1, KeepAliveIdle: 11, KeepAliveInterval: 12, KeepAliveCount: 13,
	})
	require.NoError(t, err)
	defer Close(fd)
	require.Equal(t, 1, option(t, fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN))
	require.Equal(t, 1, option(t, fd, unix.SOL_SOCKET, unix.SO_REUSEADDR))
	require.Equal(t, 1, option(t, fd, unix.SOL_SOCKET, unix.SO_REUSEPORT))
	require.Equal(t, 2*65536, option(t, fd, unix.SOL_SOCKET, unix.SO_RCVBUF), "the kernel doubles it, socket(7)")
	require.Equal(t, 2*32768, option(t, fd, unix.SOL_SOCKET, unix.SO_SNDBUF))
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	require.NoError(t, err)
	require.NotZero(t, flags&unix.O_NONBLOCK)
	flags, err = unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	require.NoError(t, err)
	require.NotZero(t, flags&unix.FD_CLOEXEC)

	// Accepted connections inherit what matters, so nothing has to be set for each.
	var at Sockaddr
	require.Zero(t, LocalAddr(fd, &at))
	client, err := net.Dial("tcp", at.String())
	require.NoError(t, err)
	defer client.Close()
	var from Sockaddr
	var accepted int
	for {
		var errno syscall.Errno
		if accepted, errno = Accept(fd, &from); errno != EAGAIN {
			require.Zero(t, errno)
			break
		}
	}
	defer Close(accepted)
	require.Equal(t, 1, option(t, accepted, unix.IPPROTO_TCP, unix.TCP_NODELAY))
	require.Equal(t, 1, option(t, accepted, unix.SOL_SOCKET, unix.SO_KEEPALIVE))
	require.Equal(t, 11, option(t, accepted, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE))
	require.Equal(t, 12, option(t, accepted, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL))
	require.Equal(t, 13, option(t, accepted, unix.IPPROTO_TCP, unix.TCP_KEEPCNT))

	// What can be changed later is.
	require.NoError(t, SetListenOptions(fd, &at, &ListenOptions{Backlog: 6, KeepAlive: -1}))
	require.Equal(t, 0, option(t, fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE))
}

func TestListenIPv6Only(t *testing.T) {
	for _, only := range []bool{true, false} {
		to := SockaddrTCP(netip.MustParseAddrPort("[::]:0"))
		fd, err := Listen(&to, &ListenOptions{Backlog: 1, IPv6Only: only})
		require.NoError(t, err)
		want := 0
		if only {
			want = 1
		}
		require.Equal(t, want, option(t, fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY))
		Close(fd)
	}
}

func TestListenErrorsNameCallAndAddress(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	addr := l.Addr().(*net.TCPAddr).AddrPort()
	to := SockaddrTCP(addr)
	_, err = Listen(&to, &ListenOptions{Backlog: 1})
	require.ErrorIs(t, err, syscall.EADDRINUSE)
	require.EqualError(t, err, "bind("+addr.String()+"): address already in use")

	nowhere, err := SockaddrUnix(filepath.Join(t.TempDir(), "no/such/dir"))
	require.NoError(t, err)
	_, err = Listen(&nowhere, &ListenOptions{Backlog: 1, UnixMode: 0o600})
	require.ErrorIs(t, err, syscall.ENOENT)
	require.ErrorContains(t, err, "bind(unix:"+nowhere.UnixPath()+")")
}

func TestListenUnixGivesTheFileItsPermissionsWhateverTheUmask(t *testing.T) {
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	for _, mode := range []uint32{0o600, 0o666} {
		path := filepath.Join(t.TempDir(), "s")
		to, err := SockaddrUnix(path)
		require.NoError(t, err)
		fd, err := Listen(&to, &ListenOptions{Backlog: 1, UnixMode: mode})
		require.NoError(t, err)
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(mode), info.Mode().Perm())
		alive, err := UnixSocketAlive(path)
		require.NoError(t, err)
		require.True(t, alive)
		Close(fd)
		alive, err = UnixSocketAlive(path)
		require.NoError(t, err)
		require.False(t, alive, "the file is stale")
	}
}

func TestUnixSocketAlive(t *testing.T) {
	dir := t.TempDir()
	alive, err := UnixSocketAlive(filepath.Join(dir, "none"))
	require.NoError(t, err)
	require.False(t, alive)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	_, err = UnixSocketAlive(filepath.Join(dir, "file"))
	require.ErrorContains(t, err, "there is a file that is not a socket")
}

func TestSockaddrString(t *testing.T) {
	tcp := SockaddrTCP(netip.MustParseAddrPort("[::1]:80"))
	require.Equal(t, "[::1]:80", tcp.String())
	for _, path := range []string{"/run/x", "@abstract"} {
		to, err := SockaddrUnix(path)
		require.NoError(t, err)
		require.Equal(t, "unix:"+path, to.String())
	}
}
