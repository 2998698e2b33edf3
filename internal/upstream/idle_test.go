// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package upstream

import (
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"weir/internal/clock"
	"weir/internal/conn"
	"weir/internal/event"
	"weir/internal/sys"
)

// rig is a loop with a table, for connections to origins that are pairs of sockets.
type rig struct {
	t      *testing.T
	loop   *event.Loop
	clock  *clock.Clock
	timers event.Timers
	table  *conn.Table
	nop    event.Task
}

// RunTask does nothing: a posted task keeps a turn from sleeping. See event.Runner.
func (b *rig) RunTask() {}

// OnReady is an owner's. See conn.Owner.
func (b *rig) OnReady(*conn.Conn) {}

// OnTimeout is an owner's. See conn.Owner.
func (b *rig) OnTimeout(*conn.Conn) {}

func newRig(t *testing.T) *rig {
	b := &rig{t: t, clock: clock.New(time.UTC)}
	b.timers.Init(b.clock.Ms())
	b.nop.Init(b)
	var err error
	b.loop, err = event.NewLoop(32, b.clock, &b.timers, func() {})
	require.NoError(t, err)
	b.table = conn.NewTable(16, b.loop, &b.timers, b.clock)
	return b
}

func (b *rig) turn() {
	b.loop.Post(&b.nop)
	b.loop.Turn()
}

// connection gives a connection to an origin, and the origin's end of it.
func (b *rig) connection() (*conn.Conn, int) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	require.NoError(b.t, err)
	c, errno := b.table.Open(fds[0], b, netip.AddrPort{})
	require.Zero(b.t, errno)
	b.turn()
	return c, fds[1]
}

// closed says whether the origin sees that its connection has been closed.
func closed(fd int) bool {
	n, errno := sys.Peek(fd)
	return n == 0 && errno == 0 || errno == sys.ECONNRESET
}

func keepGroup(o Options) *Group {
	o.Peers = []PeerOptions{{Name: "a", Weight: 1}, {Name: "b", Weight: 1}}
	if o.KeepaliveRequests == 0 {
		o.KeepaliveRequests = 100
	}
	if o.KeepaliveTimeMs == 0 {
		o.KeepaliveTimeMs = 3600_000
	}
	if o.KeepaliveIdleMs == 0 {
		o.KeepaliveIdleMs = 60_000
	}
	return NewGroup(o)
}

// The connection used last is taken first.
func TestKeepAndTake(t *testing.T) {
	b := newRig(t)
	g := keepGroup(Options{Keepalive: 4})
	p := g.peers[0]
	now := b.clock.Ms()
	require.Nil(t, p.TakeIdle(now, netip.AddrPort{}, true))
	c1, _ := b.connection()
	c2, _ := b.connection()
	p.KeepIdle(c1, now)
	p.KeepIdle(c2, now)
	require.Equal(t, 2, g.Idle())
	require.Nil(t, g.peers[1].TakeIdle(now, netip.AddrPort{}, true), "another peer's")
	c1.From = netip.MustParseAddrPort("127.0.0.9:0")
	require.Same(t, c1, p.TakeIdle(now, c1.From, true), "that with the address, though it is not the last one")
	p.KeepIdle(c1, now)
	require.Same(t, c2, p.TakeIdle(now, netip.AddrPort{}, true), "not one with an address")
	require.Nil(t, p.TakeIdle(now, netip.AddrPort{}, true))
	c1.From = netip.AddrPort{}
	require.Equal(t, event.Never, c2.DeadlineMs())
	require.Same(t, c1, p.TakeIdle(now, netip.AddrPort{}, false))
	require.Nil(t, p.TakeIdle(now, netip.AddrPort{}, true))
	require.Zero(t, g.Idle())
	require.Equal(t, 2, b.table.Used())
}

// What is not fit to be kept is closed: keepalive = 0, keepalive_requests, keepalive_time, bytes, a close.
func TestNotKept(t *testing.T) {
	for name, tc := range map[string]struct {
		options Options
		prepare func(b *rig, c *conn.Conn, far int)
	}{
		"off":      {Options{}, nil},
		"requests": {Options{Keepalive: 4, KeepaliveRequests: 3}, func(_ *rig, c *conn.Conn, _ int) { c.Requests = 3 }},
		"age":      {Options{Keepalive: 4, KeepaliveTimeMs: 1000}, func(b *rig, c *conn.Conn, _ int) { c.OpenedMs = b.clock.Ms() - 1000 }},
		"bytes": {Options{Keepalive: 4}, func(b *rig, _ *conn.Conn, far int) {
			sys.Write(far, []byte("x"))
			b.turn()
		}},
		"closed": {Options{Keepalive: 4}, func(b *rig, _ *conn.Conn, far int) {
			sys.ShutdownWrite(far)
			b.turn()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newRig(t)
			g := keepGroup(tc.options)
			c, far := b.connection()
			if tc.prepare != nil {
				tc.prepare(b, c, far)
			}
			g.peers[0].KeepIdle(c, b.clock.Ms())
			require.Zero(t, g.Idle())
			require.True(t, closed(far))
			require.Zero(t, b.table.Used())
		})
	}
}

// Just below the limits a connection is kept.
func TestKeptBelowLimits(t *testing.T) {
	b := newRig(t)
	g := keepGroup(Options{Keepalive: 1, KeepaliveRequests: 3, KeepaliveTimeMs: 1000})
	c, far := b.connection()
	c.Requests, c.OpenedMs = 2, b.clock.Ms()-999
	g.peers[0].KeepIdle(c, b.clock.Ms())
	require.Equal(t, 1, g.Idle())
	require.False(t, closed(far))
}

// An idle connection that shows something is closed in the same turn, also when it is about to be used in it.
func TestIdleShowsSomething(t *testing.T) {
	for name, act := range map[string]func(far int){
		"byte":  func(far int) { sys.Write(far, []byte("x")) },
		"close": func(far int) { sys.ShutdownWrite(far) },
		"gone":  func(far int) { sys.Close(far) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newRig(t)
			g := keepGroup(Options{Keepalive: 4})
			c, far := b.connection()
			g.peers[0].KeepIdle(c, b.clock.Ms())
			act(far)
			b.turn()
			require.Zero(t, g.Idle())
			require.Zero(t, b.table.Used())
		})
		t.Run(name+", taken first", func(t *testing.T) {
			b := newRig(t)
			g := keepGroup(Options{Keepalive: 4})
			c, far := b.connection()
			now := b.clock.Ms()
			g.peers[0].KeepIdle(c, now)
			act(far)
			// No turn: the event has not been fetched. A request that cannot be sent twice looks; so does any after a while.
			if name == "gone" {
				require.Nil(t, g.peers[0].TakeIdle(now+peekAfterMs, netip.AddrPort{}, true))
			} else {
				require.Nil(t, g.peers[0].TakeIdle(now, netip.AddrPort{}, false))
			}
			require.Zero(t, g.Idle())
			require.Zero(t, b.table.Used())
		})
		t.Run(name+", marked", func(t *testing.T) {
			b := newRig(t)
			g := keepGroup(Options{Keepalive: 4})
			c, far := b.connection()
			now := b.clock.Ms()
			g.peers[0].KeepIdle(c, now)
			act(far)
			c.Mark(sys.EpollIn | sys.EpollRdHup) // as the first pass of a turn does
			require.Nil(t, g.peers[0].TakeIdle(now, netip.AddrPort{}, true))
			require.Zero(t, b.table.Used())
		})
	}
}

// Behind one that is no good another one is found.
func TestTakeSkipsDeadOnes(t *testing.T) {
	b := newRig(t)
	g := keepGroup(Options{Keepalive: 4})
	good, _ := b.connection()
	bad, far := b.connection()
	now := b.clock.Ms()
	g.peers[0].KeepIdle(good, now)
	g.peers[0].KeepIdle(bad, now)
	sys.Close(far)
	require.Same(t, good, g.peers[0].TakeIdle(now, netip.AddrPort{}, false))
	require.Equal(t, 1, b.table.Used())
}

// A group that is full closes the longest idle connection of the peer that has most.
func TestEvict(t *testing.T) {
	b := newRig(t)
	g := keepGroup(Options{Keepalive: 3})
	now := b.clock.Ms()
	var far [5]int
	for i, peer := range []int{1, 0, 0, 0, 1} {
		var c *conn.Conn
		c, far[i] = b.connection()
		g.peers[peer].KeepIdle(c, now+int64(i))
		require.LessOrEqual(t, g.Idle(), 3)
	}
	require.Equal(t, []bool{false, true, true, false, false}, []bool{closed(far[0]), closed(far[1]), closed(far[2]), closed(far[3]), closed(far[4])})
	for g.Idle() > 0 {
		g.Evict()
	}
	require.Zero(t, g.Idle())
	require.Zero(t, b.table.Used())
}

// An idle connection is closed by its time-out.
func TestIdleTimeout(t *testing.T) {
	b := newRig(t)
	g := keepGroup(Options{Keepalive: 3, KeepaliveIdleMs: 20})
	c, far := b.connection()
	began := b.clock.Ms()
	g.peers[0].KeepIdle(c, began)
	for g.Idle() > 0 {
		b.loop.Turn() // sleeps until the timer
	}
	require.GreaterOrEqual(t, b.clock.Ms()-began, int64(20))
	require.True(t, closed(far))
}

// Connect, to a socket that listens and to one that does not.
func TestConnect(t *testing.T) {
	b := newRig(t)
	any := sys.SockaddrTCP(netip.MustParseAddrPort("127.0.0.1:0"))
	listening, err := sys.Listen(&any, &sys.ListenOptions{Backlog: 1})
	require.NoError(t, err)
	var at sys.Sockaddr
	require.Zero(t, sys.LocalAddr(listening, &at))
	g := NewGroup(Options{Peers: []PeerOptions{{Name: "a", Weight: 1, Addr: at, IP: at.AddrPort()}}})
	outcome := func() syscall.Errno {
		c, errno := g.peers[0].Connect(b.table, b, nil)
		if errno != 0 {
			return errno
		}
		require.Equal(t, at.AddrPort(), c.Peer)
		for !c.Writable() && !c.HungUp() {
			b.loop.Turn()
		}
		defer c.Close()
		return c.Connected()
	}
	require.Zero(t, outcome())
	sys.Close(listening)
	require.Equal(t, syscall.ECONNREFUSED, outcome())

	for !b.table.Full() {
		b.connection()
	}
	_, errno := g.peers[0].Connect(b.table, b, nil)
	require.NotZero(t, errno)
}
