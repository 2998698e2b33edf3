// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package sys

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestInspectListener(t *testing.T) {
	listen := func(network, address string) int {
		l, err := net.Listen(network, address)
		require.NoError(t, err)
		t.Cleanup(func() { l.Close() })
		file, err := l.(interface{ File() (*os.File, error) }).File()
		require.NoError(t, err)
		t.Cleanup(func() { file.Close() })
		return int(file.Fd())
	}
	path := filepath.Join(t.TempDir(), "s")
	for _, c := range []struct{ network, address, want string }{
		{"tcp4", "127.0.0.1:0", "127.0.0.1:"},
		{"tcp6", "[::1]:0", "[::1]:"},
		{"unix", path, "unix:" + path},
		{"unix", "@weir-sys-test", "unix:@weir-sys-test"},
	} {
		at, only, err := InspectListener(listen(c.network, c.address))
		require.NoError(t, err)
		require.Contains(t, at.String(), c.want)
		require.Equal(t, c.network == "tcp6", only, "Go makes IPv6 sockets of a given address without IPv4")
	}
	bound, err := net.ListenUDP("udp4", nil)
	require.NoError(t, err)
	defer bound.Close()
	file, err := bound.File()
	require.NoError(t, err)
	defer file.Close()
	_, _, err = InspectListener(int(file.Fd()))
	require.ErrorIs(t, err, ErrNotListening)
	null, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer null.Close()
	_, _, err = InspectListener(int(null.Fd()))
	require.ErrorIs(t, err, syscall.ENOTSOCK)
	_, _, err = InspectListener(1 << 20)
	require.ErrorIs(t, err, syscall.EBADF)
}

func TestSendDatagram(t *testing.T) {
	for _, name := range []string{filepath.Join(t.TempDir(), "s"), "@weir-sys-datagram"} {
		l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
		require.NoError(t, err)
		require.NoError(t, SendDatagram(name, []byte("READY=1")))
		text := make([]byte, 64)
		n, err := l.Read(text)
		require.NoError(t, err)
		require.Equal(t, "READY=1", string(text[:n]))
		for err = nil; err == nil; { // nobody reads: it must not wait
			err = SendDatagram(name, []byte("x"))
		}
		require.ErrorIs(t, err, syscall.EAGAIN)
		l.Close()
		require.Error(t, SendDatagram(name, []byte("x")))
	}
}

func TestMonotonicUsec(t *testing.T) {
	before := MonotonicUsec()
	time.Sleep(2 * time.Millisecond)
	require.GreaterOrEqual(t, MonotonicUsec()-before, int64(2000))
}

func TestProcessors(t *testing.T) {
	require.Positive(t, Processors())
	require.LessOrEqual(t, Processors(), runtime.NumCPU())
	if taskset, err := exec.LookPath("taskset"); err == nil && os.Getenv("WEIR_TEST_PROCESSORS") == "" {
		c := exec.Command(taskset, "-c", "0", os.Args[0], "-test.run=^TestProcessors$")
		c.Env = append(os.Environ(), "WEIR_TEST_PROCESSORS=1")
		out, err := c.CombinedOutput()
		require.NoError(t, err, "%s", out)
	} else if err == nil {
		require.Equal(t, 1, Processors())
	}
}

func TestEndedChild(t *testing.T) {
	child := exec.Command(os.Args[0], "-test.run=^$")
	require.NoError(t, child.Start())
	var pid int
	for deadline := time.Now().Add(20 * time.Second); pid == 0 && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		var err error
		pid, err = EndedChild()
		require.NoError(t, err)
	}
	require.Equal(t, child.Process.Pid, pid)
	_, ended, err := Reap(pid)
	require.NoError(t, err)
	require.True(t, ended, "it was looked at, not taken")
	pid, err = EndedChild()
	require.NoError(t, err)
	require.Zero(t, pid)
	require.False(t, ReapsStrangers())
	require.True(t, errors.Is(child.Wait(), syscall.ECHILD))
}
