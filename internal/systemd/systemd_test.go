// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package systemd

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"weir/internal/sys"
)

// manager is a stand-in for the service manager's end of the notify socket.
type manager struct {
	t      *testing.T
	socket *net.UnixConn
}

func newManager(t *testing.T, name string) *manager {
	t.Helper()
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	require.NoError(t, err)
	t.Cleanup(func() { socket.Close() })
	t.Setenv("NOTIFY_SOCKET", name)
	return &manager{t, socket}
}

// heard is the next datagram.
func (m *manager) heard() string {
	m.t.Helper()
	text := make([]byte, 4096)
	require.NoError(m.t, m.socket.SetReadDeadline(time.Now().Add(20*time.Second)))
	n, err := m.socket.Read(text)
	require.NoError(m.t, err)
	return string(text[:n])
}

// silent says that nothing was sent. A datagram arrives in the call that sends it, so there is nothing to wait for.
func (m *manager) silent() {
	m.t.Helper()
	require.NoError(m.t, m.socket.SetReadDeadline(time.Now().Add(time.Millisecond)))
	n, err := m.socket.Read(make([]byte, 64))
	require.Error(m.t, err, "%d bytes", n)
}

func TestNotifierSays(t *testing.T) {
	pid := strconv.Itoa(os.Getpid())
	for _, name := range []string{filepath.Join(t.TempDir(), "notify"), "@weir-notify-test-" + pid} {
		m := newManager(t, name)
		n, err := OpenNotifier()
		require.NoError(t, err)
		n.Ready("serving")
		require.Equal(t, "READY=1\nSTATUS=serving", m.heard())
		n.Started("")
		require.Equal(t, "READY=1\nMAINPID="+pid, m.heard())
		before := sys.MonotonicUsec()
		n.Reloading("reloading")
		lines := strings.Split(m.heard(), "\n")
		require.Equal(t, "RELOADING=1", lines[0])
		at, err := strconv.ParseInt(strings.TrimPrefix(lines[1], "MONOTONIC_USEC="), 10, 64)
		require.NoError(t, err)
		require.True(t, before <= at && at <= sys.MonotonicUsec())
		n.Status("two\nlines")
		require.Equal(t, "STATUS=two; lines", m.heard())
		n.Stopping("")
		require.Equal(t, "STOPPING=1", m.heard())
		n.Status(strings.Repeat("long", 1000))
		require.Less(t, len(m.heard()), 2000)
		n.MainPID(17)
		require.Equal(t, "MAINPID=17", m.heard())
		require.Zero(t, n.Due())
		n.Beat(time.Now())
		m.silent()
	}
}

func TestNotifierWithoutManager(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	n, err := OpenNotifier()
	require.NoError(t, err)
	require.Nil(t, n)
	n.Ready("x")
	n.Beat(time.Now())
	require.Zero(t, n.Due())

	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "nobody"))
	n, err = OpenNotifier()
	require.NoError(t, err)
	n.Ready("x")
	require.Zero(t, n.Due(), "what nobody listens to is dropped")
}

func TestWatchdog(t *testing.T) {
	m := newManager(t, filepath.Join(t.TempDir(), "notify"))
	t.Setenv("WATCHDOG_USEC", "3000000")
	for _, c := range []struct {
		pid   string
		beats bool
	}{{"", true}, {strconv.Itoa(os.Getpid()), true}, {"1", false}} {
		t.Setenv("WATCHDOG_PID", c.pid)
		n, err := OpenNotifier()
		require.NoError(t, err)
		if !c.beats {
			require.Zero(t, n.Due())
			continue
		}
		now := n.Due()
		require.WithinDuration(t, time.Now(), now, 20*time.Second)
		n.Beat(now)
		require.Equal(t, "WATCHDOG=1", m.heard())
		require.Equal(t, now.Add(1500*time.Millisecond), n.Due(), "half of the time")
		n.Beat(now.Add(time.Second))
		m.silent()
		n.Beat(now.Add(1500 * time.Millisecond))
		require.Equal(t, "WATCHDOG=1", m.heard())
	}
}

func TestNotifierRefusesNonsense(t *testing.T) {
	for _, c := range []struct{ socket, usec string }{{"relative", ""}, {"vsock:2:1", ""}, {"@", ""}, {"@x", "soon"}, {"@x", "-1"}} {
		t.Setenv("NOTIFY_SOCKET", c.socket)
		t.Setenv("WATCHDOG_USEC", c.usec)
		t.Setenv("WATCHDOG_PID", "")
		_, err := OpenNotifier()
		require.Error(t, err, "%v", c)
	}
}

// A manager that does not read holds nobody up, and hears everything that counts, in order, when it reads again.
func TestNotifierNeverWaits(t *testing.T) {
	m := newManager(t, filepath.Join(t.TempDir(), "notify"))
	filled := 0
	for ; sys.SendDatagram(os.Getenv("NOTIFY_SOCKET"), []byte("x")) == nil; filled++ {
	}
	n, err := OpenNotifier()
	require.NoError(t, err)
	n.Reloading("")
	n.Status("a")
	n.Status("b")
	n.Ready("c")
	require.Len(t, n.pending, 3)
	require.NotZero(t, n.Due())
	for range filled {
		require.Equal(t, "x", m.heard())
	}
	n.Beat(n.Due())
	require.Contains(t, m.heard(), "RELOADING=1")
	require.Equal(t, "STATUS=b", m.heard())
	require.Equal(t, "READY=1\nSTATUS=c", m.heard())
	require.Zero(t, n.Due())

	for sys.SendDatagram(os.Getenv("NOTIFY_SOCKET"), []byte("x")) == nil {
	}
	for range 2 * pendingMax {
		n.Reloading("")
		n.Ready("")
	}
	require.Len(t, n.pending, pendingMax)
	n.Beat(time.Now().Add(2 * giveUpAfter))
	require.Zero(t, n.Due(), "it does not try for ever")
}

// Who hands the service over says so before it ends, however long the manager takes to listen, and nothing else from then on.
func TestNotifierOwesTheMainPID(t *testing.T) {
	m := newManager(t, filepath.Join(t.TempDir(), "notify"))
	t.Setenv("WATCHDOG_USEC", "3000000")
	filled := 0
	for ; sys.SendDatagram(os.Getenv("NOTIFY_SOCKET"), []byte("x")) == nil; filled++ {
	}
	n, err := OpenNotifier()
	require.NoError(t, err)
	n.MainPID(12)
	n.Status("not said any more")
	require.True(t, n.Owes())
	for range filled {
		require.Equal(t, "x", m.heard())
	}
	n.Beat(n.Due())
	require.Equal(t, "MAINPID=12", m.heard())
	require.False(t, n.Owes())
	require.Zero(t, n.Due(), "the watchdog is the other's")
	n.Started("back")
	require.Equal(t, fmt.Sprintf("READY=1\nMAINPID=%d\nSTATUS=back", os.Getpid()), m.heard())
	n.Beat(n.Due())
	require.Equal(t, "WATCHDOG=1", m.heard())
}

func TestPassed(t *testing.T) {
	pid := strconv.Itoa(os.Getpid())
	for _, c := range []struct {
		pid, fds, names string
		want            []Descriptor
		fails           bool
	}{
		{"", "", "", nil, false},
		{"1", "2", "", nil, false},
		{pid, "0", "", []Descriptor{}, false},
		{pid, "2", "", []Descriptor{{FD: 3}, {FD: 4}}, false},
		{pid, "2", "web:api", []Descriptor{{3, "web"}, {4, "api"}}, false},
		{pid, "2", "web", []Descriptor{{3, "web"}, {4, ""}}, false},
		{pid, "x", "", nil, true},
		{pid, "-1", "", nil, true},
		{pid, "99999", "", nil, true},
	} {
		t.Setenv("LISTEN_PID", c.pid)
		t.Setenv("LISTEN_FDS", c.fds)
		t.Setenv("LISTEN_FDNAMES", c.names)
		got, err := Passed()
		require.Equal(t, c.fails, err != nil)
		require.Equal(t, c.want, got)
		for _, name := range activationVariables() {
			_, there := os.LookupEnv(name)
			require.False(t, there, name)
		}
	}
}

func TestUpgradeEnv(t *testing.T) {
	require.Equal(t, []string{"NOTIFY_SOCKET=/x", "WATCHDOG_USEC=1", "LISTEN=1"}, UpgradeEnv([]string{
		"NOTIFY_SOCKET=/x", "LISTEN_PID=1", "LISTEN_FDS=2", "LISTEN_FDNAMES=a:b", "WATCHDOG_USEC=1", "WATCHDOG_PID=4", "LISTEN=1",
	}))
}
