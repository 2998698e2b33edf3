// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conn

import (
	"net/netip"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"weir/internal/event"
	"weir/internal/sys"
)

// door is an Acceptor that does as it is told.
type door struct {
	r         *rig
	crowded   bool
	full      bool
	loaded    bool
	asked     int // how often whether it is crowded
	shortages []syscall.Errno
	accepted  []int
	peers     []netip.AddrPort
	then      func(l *Listener)
}

func (d *door) OnAccept(l *Listener, fd int, peer netip.AddrPort) {
	d.accepted = append(d.accepted, fd)
	d.peers = append(d.peers, peer)
	if d.then != nil {
		d.then(l)
	}
}

func (d *door) OnShortage(_ *Listener, errno syscall.Errno) { d.shortages = append(d.shortages, errno) }

func (d *door) Crowded(*Listener) bool {
	d.asked++
	return d.crowded
}

func (d *door) Room() bool { return !d.full }

func (d *door) Loaded() bool { return d.loaded }

func newListener(t *testing.T) (d *door, l *Listener, dial func() int) {
	d = &door{r: newRig(t, 4)}
	any := sys.SockaddrTCP(netip.MustParseAddrPort("127.0.0.1:0"))
	fd, err := sys.Listen(&any, &sys.ListenOptions{Backlog: 128})
	require.NoError(t, err)
	var at sys.Sockaddr
	require.Zero(t, sys.LocalAddr(fd, &at))
	l, errno := NewListener(3, fd, false, d.r.loop, &d.r.timers, d.r.clock.Ms, d)
	require.Zero(t, errno)
	t.Cleanup(func() {
		l.Close()
		for _, fd := range d.accepted {
			sys.Close(fd)
		}
	})
	return d, l, func() int {
		fd, errno := sys.ConnectStart(&at, nil)
		require.Positive(t, fd, "%v", errno)
		t.Cleanup(func() { sys.Close(fd) })
		return fd
	}
}

// until turns the loop, which sleeps until something happens, until done says so. A timer ends what never would.
func (d *door) until(done func() bool) {
	d.r.t.Helper()
	var a alarm
	var timer event.Timer
	timer.Init(&a)
	d.r.timers.Arm(&timer, d.r.clock.Ms()+10_000)
	defer d.r.timers.Unlink(&timer)
	for !done() {
		d.r.loop.Turn()
		require.False(d.r.t, a.rung, "it does not happen")
	}
}

type alarm struct{ rung bool }

// OnTimer notes that the time is over. See event.Expirer.
func (a *alarm) OnTimer(*event.Timer) { a.rung = true }

func (d *door) has(n int) func() bool { return func() bool { return len(d.accepted) >= n } }

// One connection a turn, so that the others get some; the peer's address comes along.
func TestAcceptOneATurn(t *testing.T) {
	d, l, dial := newListener(t)
	require.Equal(t, 3, l.ID)
	fds := []int{dial(), dial(), dial()}
	for n := range 3 {
		before := len(d.accepted)
		d.until(d.has(n + 1))
		require.Equal(t, before+1, len(d.accepted))
	}
	var at sys.Sockaddr
	require.Zero(t, sys.LocalAddr(fds[0], &at))
	require.Equal(t, at.AddrPort(), d.peers[0])
	d.r.turn()
	require.Len(t, d.accepted, 3)
}

// A worker that has more than its share steps back after the connection that made it so, and comes back when it has not.
func TestListenerYields(t *testing.T) {
	d, l, dial := newListener(t)
	dial()
	d.crowded = true
	d.until(d.has(1))
	require.Equal(t, listenPaused, l.state)
	dial()
	asked := d.asked
	d.until(func() bool { return d.asked > asked || l.state == listenActive })
	require.Len(t, d.accepted, 1, "the other one is left to others")

	d.crowded = false
	d.until(d.has(2))
	require.Equal(t, listenActive, l.state)
	require.Empty(t, d.shortages)
}

// It yields for no longer than yieldMaxMs: if the connections are still there then, nobody else takes them, and it takes many at once.
func TestListenerDoesNotYieldForEver(t *testing.T) {
	d, l, dial := newListener(t)
	dial()
	d.crowded = true
	d.until(d.has(1))
	paused := l.pausedMs
	for range 5 {
		dial()
	}
	d.until(d.has(2))
	require.GreaterOrEqual(t, d.r.clock.Ms(), paused+yieldMaxMs)
	require.Len(t, d.accepted, 6, "all of them in one turn")
	require.Equal(t, listenPaused, l.state, "and it yields again")
}

// Without a place for it a connection stays in the queue.
func TestListenerWithoutRoom(t *testing.T) {
	d, l, dial := newListener(t)
	d.full = true
	dial()
	d.until(func() bool { return l.state == listenPaused })
	require.Empty(t, d.accepted)
	d.full = false
	d.until(d.has(1))
}

// Close, in any state, also from within OnAccept.
func TestListenerClose(t *testing.T) {
	d, l, dial := newListener(t)
	dial()
	dial()
	d.then = func(l *Listener) { l.Close() }
	d.until(d.has(1))
	require.Equal(t, listenClosed, l.state)
	d.r.turn()
	require.Len(t, d.accepted, 1)
	l.Close()
	require.Zero(t, d.r.timers.Linked())

	d, l, dial = newListener(t)
	d.crowded = true
	dial()
	d.until(d.has(1))
	require.Equal(t, listenPaused, l.state)
	l.Close()
	require.Zero(t, d.r.timers.Linked())
	l.OnTimer(nil)
	require.Equal(t, listenClosed, l.state)
}

// alone says whether this is a process of its own, whose limits nobody else misses. In the first process it runs the test in one, and is false.
func alone(t *testing.T) bool {
	const marker = "WEIR_TEST_SHORTAGE"
	if os.Getenv(marker) != "" {
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), marker+"=1")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "--- PASS: "+t.Name())
	return false
}

// A worker that is told to drain while it can accept nothing, because it has no descriptor left, lives on: a socket that is paused, and one
// behind a shut gate, are not in the loop.
func TestDrainInShortage(t *testing.T) {
	if !alone(t) {
		return
	}
	paused, l, dial := newListener(t)
	gated, behind, dialGated, word := newGated(t)
	*word = held
	gated.r.turn()
	require.Equal(t, listenShut, behind.state)
	last := dial()
	dialGated()
	var was syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &was))
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: uint64(last), Max: was.Max}))
	paused.until(func() bool { return l.state == listenPaused })
	l.Drain()
	require.Equal(t, listenClosed, l.state)
	require.Equal(t, []syscall.Errno{syscall.EMFILE, syscall.EMFILE}, paused.shortages)
	behind.Drain()
	require.Equal(t, listenClosed, behind.state)
	require.Equal(t, []syscall.Errno{syscall.EMFILE}, gated.shortages)
	require.Zero(t, paused.r.timers.Linked())
	require.Zero(t, gated.r.timers.Linked())
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &was))
}

// When the process has no descriptor left accepting pauses for shortageMs, and goes on then.
func TestListenerShortage(t *testing.T) {
	if !alone(t) {
		return
	}
	d, l, dial := newListener(t)
	dial()
	last, err := syscall.Dup(0)
	require.NoError(t, err)
	require.NoError(t, syscall.Close(last))
	var was syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &was))
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: uint64(last), Max: was.Max}))
	for len(d.shortages) == 0 {
		d.r.loop.Turn()
	}
	require.Equal(t, []syscall.Errno{syscall.EMFILE}, d.shortages)
	require.Equal(t, listenPaused, l.state)
	paused := d.r.clock.Ms()
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &was))
	for len(d.accepted) == 0 {
		d.r.loop.Turn() // sleeps until the pause is over
	}
	require.GreaterOrEqual(t, d.r.clock.Ms(), paused+shortageMs)
	require.Len(t, d.shortages, 1)
}
