// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"weir/internal/sys"
)

func TestExplainBind(t *testing.T) {
	tcp := &socket{protocol: "tcp4", to: sys.SockaddrTCP(netip.MustParseAddrPort("127.0.0.1:80"))}
	unix := &socket{protocol: "unix", address: "/x"}
	for _, c := range []struct {
		socket *socket
		cause  error
		want   string
	}{
		{tcp, syscall.EACCES, "CAP_NET_BIND_SERVICE"},
		{unix, syscall.EACCES, "the directory must be writable"},
		{tcp, syscall.EADDRNOTAVAIL, "this machine does not have the address"},
		{tcp, syscall.EMFILE, "ulimit -n"},
		{unix, syscall.EADDRINUSE, "another process listens on it"},
	} {
		err := explainBind(&bindError{c.socket, fmt.Errorf("bind(x): %w", c.cause)})
		require.ErrorContains(t, err, "bind(x): "+c.cause.Error()+": ")
		require.ErrorContains(t, err, c.want)
		require.ErrorIs(t, err, c.cause)
	}
	other := errors.New("something else")
	require.Equal(t, other, explainBind(other))
}

func TestPortOwner(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := net.Listen("tcp", addr)
		if err != nil && addr[0] == '[' {
			t.Log("this machine has no IPv6")
			continue
		}
		require.NoError(t, err)
		port := l.Addr().(*net.TCPAddr).AddrPort().Port()
		require.Contains(t, portOwner(port), fmt.Sprintf("process %d (", os.Getpid()))
		l.Close()
		require.Equal(t, "no process listens on it, but a socket is bound to it", portOwner(port))
	}
}
