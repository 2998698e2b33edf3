// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conn

import (
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"weir/internal/clock"
	"weir/internal/event"
	"weir/internal/sys"
)

// rig is a loop with a table. It owns the connections that it opens, and counts what their owner is told.
type rig struct {
	t      testing.TB
	loop   *event.Loop
	clock  *clock.Clock
	timers event.Timers
	table  *Table
	nop    event.Task

	ready, timeouts map[*Conn]int
}

func newRig(t testing.TB, size int) *rig {
	r := &rig{t: t, clock: clock.New(time.UTC), ready: map[*Conn]int{}, timeouts: map[*Conn]int{}}
	r.timers.Init(r.clock.Ms())
	r.nop.Init(r)
	var err error
	r.loop, err = event.NewLoop(size+4, r.clock, &r.timers, func() {})
	require.NoError(t, err)
	r.table = NewTable(size, r.loop, &r.timers, r.clock)
	return r
}

// RunTask does nothing: a posted task keeps a turn from sleeping. See event.Runner.
func (r *rig) RunTask() {}

func (r *rig) OnReady(c *Conn)   { r.ready[c]++ }
func (r *rig) OnTimeout(c *Conn) { r.timeouts[c]++ }

func (r *rig) turn() {
	r.loop.Post(&r.nop)
	r.loop.Turn()
}

func (r *rig) pair() (near, far int) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	require.NoError(r.t, err)
	return fds[0], fds[1]
}

// open gives a connection whose first events have been taken.
func (r *rig) open() (c *Conn, far int) {
	near, far := r.pair()
	c, errno := r.table.Open(near, r, netip.AddrPort{})
	require.Zero(r.t, errno)
	r.turn()
	clear(r.ready)
	return c, far
}

func TestReadiness(t *testing.T) {
	r := newRig(t, 1)
	c, far := r.open()
	buf := make([]byte, 8)
	require.False(t, c.Readable())
	require.True(t, c.Writable())
	require.False(t, c.HungUp())

	sys.Write(far, []byte("123456789012"))
	require.False(t, c.Readable(), "nobody has told yet")
	r.turn()
	require.True(t, c.Readable())
	require.Equal(t, 1, r.ready[c])

	n, st := c.Read(buf)
	require.Equal(t, 8, n)
	require.Equal(t, OK, st)
	require.True(t, c.Readable(), "a full read says nothing about what is behind it")
	n, st = c.Read(buf)
	require.Equal(t, 4, n)
	require.Equal(t, OK, st)
	require.False(t, c.Readable(), "a short one does")
	_, st = c.Read(buf)
	require.Equal(t, Again, st)
	require.False(t, c.HungUp())

	// An exact read, then nothing: only EAGAIN tells.
	sys.Write(far, buf)
	r.turn()
	_, st = c.Read(buf)
	require.Equal(t, OK, st)
	require.True(t, c.Readable())
	_, st = c.Read(buf)
	require.Equal(t, Again, st)
	require.False(t, c.Readable())
}

// After a hang-up a short read does not mean that nothing is left: the end has to be read.
func TestShortReadWithHangUp(t *testing.T) {
	r := newRig(t, 1)
	c, far := r.open()
	sys.Write(far, []byte("last"))
	sys.ShutdownWrite(far)
	r.turn()
	require.True(t, c.HungUp())
	buf := make([]byte, 8)
	n, st := c.Read(buf)
	require.Equal(t, "last", string(buf[:n]))
	require.Equal(t, OK, st)
	require.True(t, c.Readable())
	_, st = c.Read(buf)
	require.Equal(t, EOF, st)
	require.True(t, c.Writable(), "the other way is open still")
}

// The hang-up comes after the short read: its event makes the connection readable again.
func TestHangUpAfterShortRead(t *testing.T) {
	r := newRig(t, 1)
	c, far := r.open()
	sys.Write(far, []byte("data"))
	r.turn()
	sys.ShutdownWrite(far) // the kernel knows, the loop does not
	buf := make([]byte, 8)
	n, _ := c.Read(buf)
	require.Equal(t, 4, n)
	require.False(t, c.Readable())
	r.turn()
	require.True(t, c.Readable())
	_, st := c.Read(buf)
	require.Equal(t, EOF, st)
}

func TestWriteUntilFull(t *testing.T) {
	r := newRig(t, 1)
	c, far := r.open()
	data := make([]byte, 64<<10)
	total := 0
	for c.Writable() {
		n, st := c.Write(data)
		require.NotEqual(t, Failed, st)
		total += n
	}
	_, st := c.Write(data)
	require.Equal(t, Again, st)
	r.turn()
	require.False(t, c.Writable())
	for total > 0 {
		n, errno := sys.Read(far, data)
		require.Zero(t, errno)
		total -= n
	}
	r.turn()
	require.True(t, c.Writable())
	require.NotZero(t, r.ready[c])
}

func TestVectors(t *testing.T) {
	r := newRig(t, 1)
	c, far := r.open()
	a, b := []byte("abc"), []byte("defgh")
	var iov [2]sys.Iovec
	iov[0].Set(a)
	iov[1].Set(b)
	n, st := c.Writev(iov[:], 8)
	require.Equal(t, 8, n)
	require.Equal(t, OK, st)
	require.True(t, c.Writable())
	buf := make([]byte, 16)
	n, _ = sys.Read(far, buf)
	require.Equal(t, "abcdefgh", string(buf[:n]))

	sys.Write(far, []byte("12345"))
	r.turn()
	n, st = c.Readv(iov[:], 8)
	require.Equal(t, 5, n)
	require.Equal(t, OK, st)
	require.Equal(t, "123", string(a))
	require.Equal(t, "45", string(b[:2]))
	require.False(t, c.Readable())
}

func TestFailures(t *testing.T) {
	r := newRig(t, 2)
	c, far := r.open()
	sys.Close(far)
	r.turn()
	require.True(t, c.HungUp())
	_, st := c.Write([]byte("x"))
	require.Equal(t, Failed, st)
	require.Equal(t, syscall.EPIPE, c.Errno())

	c, far = r.open()
	c.Write([]byte("never read"))
	sys.Close(far) // with unread bytes: a reset
	r.turn()
	require.True(t, c.Readable() && c.Writable() && c.HungUp())
	_, st = c.Read(make([]byte, 1))
	require.Equal(t, Failed, st)
	require.Equal(t, syscall.ECONNRESET, c.Errno())
}

func TestQuiet(t *testing.T) {
	r := newRig(t, 3)
	c, far := r.open()
	require.True(t, c.Quiet())
	sys.Write(far, []byte("x"))
	require.False(t, c.Quiet(), "it looks, and does not wait to be told")
	r.turn()
	require.False(t, c.Quiet())
	_, st := c.Read(make([]byte, 1))
	require.Equal(t, OK, st)
	require.True(t, c.Readable())
	require.True(t, c.Quiet())
	require.False(t, c.Readable(), "and it remembers")

	c, far = r.open()
	sys.ShutdownWrite(far)
	require.False(t, c.Quiet())
	c, far = r.open()
	sys.Close(far)
	r.turn()
	require.False(t, c.Quiet())
}

// Every place can be used; one more is ENOSPC, and the socket stays the caller's.
func TestOpenAndClose(t *testing.T) {
	r := newRig(t, 2)
	peer := netip.MustParseAddrPort("[2001:db8::1]:443")
	near, _ := r.pair()
	c, errno := r.table.Open(near, r, peer)
	require.Zero(t, errno)
	require.Equal(t, "2001:db8::1", string(c.PeerText()))
	require.Equal(t, near, c.FD())
	require.Equal(t, uint64(1), c.Serial)
	c.Requests = 7
	other, _ := r.open()
	require.Equal(t, "unix:", string(other.PeerText()))
	require.True(t, r.table.Full())

	fd, far := r.pair()
	_, errno = r.table.Open(fd, r, peer)
	require.Equal(t, syscall.ENOSPC, errno)
	n, errno := sys.Write(fd, []byte("x"))
	require.Zero(t, errno)
	require.Equal(t, 1, n)
	sys.Close(far)

	c.Arm(r.clock.Ms() + 10_000)
	c.Close()
	require.Equal(t, 1, r.table.Used())
	require.Zero(t, r.timers.Linked())
	require.Panics(t, func() { c.Close() })
	c, errno = r.table.Open(fd, r, netip.MustParseAddrPort("198.51.100.200:1"))
	require.Zero(t, errno)
	require.Equal(t, uint64(3), c.Serial)
	require.Zero(t, c.Requests)
	require.Equal(t, event.Never, c.DeadlineMs())
	require.Equal(t, "198.51.100.200", string(c.PeerText()))

	_, errno = r.table.Open(-1, r, peer)
	require.NotZero(t, errno)
	require.Equal(t, 2, r.table.Used())
}

// An event of a connection that was closed in the same turn does not reach the one that got its place.
func TestPlaceIsReusedInOneTurn(t *testing.T) {
	r := newRig(t, 2)
	a, farA := r.open()
	b, farB := r.open()
	var c *Conn
	a.SetOwner(ownerFunc(func() {
		b.Close()
		near, _ := r.pair()
		c, _ = r.table.Open(near, r, netip.AddrPort{})
	}))
	sys.Write(farA, []byte("x"))
	sys.Write(farB, []byte("x"))
	r.turn()
	require.Same(t, b, c, "the same place")
	require.False(t, c.Readable())
	require.Zero(t, r.ready[c])
}

type ownerFunc func()

func (f ownerFunc) OnReady(*Conn)   { f() }
func (f ownerFunc) OnTimeout(*Conn) {}

// A connection that is being made is writable only when the kernel says so.
func TestConnecting(t *testing.T) {
	r := newRig(t, 1)
	near, _ := r.pair()
	c, errno := r.table.OpenConnecting(near, r, netip.AddrPort{})
	require.Zero(t, errno)
	require.False(t, c.Writable())
	r.turn()
	require.True(t, c.Writable())
	require.Zero(t, c.Connected())
	require.Equal(t, 1, r.ready[c])
}

func TestTimeout(t *testing.T) {
	r := newRig(t, 1)
	c, _ := r.open()
	began := r.clock.Ms()
	c.Arm(began + 5000)
	c.Arm(began + 20)
	require.Equal(t, began+20, c.DeadlineMs())
	for r.timeouts[c] == 0 {
		r.loop.Turn()
	}
	require.GreaterOrEqual(t, r.clock.Ms(), began+20)
	c.Arm(r.clock.Ms() + 1)
	c.Disarm()
	r.timers.Expire(r.clock.Ms() + 10_000)
	require.Equal(t, 1, r.timeouts[c])
}

// List against a slice; a connection that is closed leaves its list.
func TestListModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const size = 6
		conns := make([]Conn, size)
		var lists [2]List
		model := [2][]*Conn{{}, {}}
		where := map[*Conn]int{} // 1 and 2
		draw := func(t *rapid.T) *Conn { return &conns[rapid.IntRange(0, size-1).Draw(t, "conn")] }
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				c, l := draw(t), rapid.IntRange(0, 1).Draw(t, "list")
				if where[c] != 0 {
					require.Panics(t, func() { lists[l].Push(c) })
					return
				}
				lists[l].Push(c)
				model[l] = append(model[l], c)
				where[c] = l + 1
			},
			"remove": func(t *rapid.T) {
				c, l := draw(t), rapid.IntRange(0, 1).Draw(t, "list")
				if where[c] != l+1 {
					require.Panics(t, func() { lists[l].Remove(c) })
					return
				}
				lists[l].Remove(c)
				where[c] = 0
				for i := range model[l] {
					if model[l][i] == c {
						model[l] = append(model[l][:i:i], model[l][i+1:]...)
						break
					}
				}
			},
			"": func(t *rapid.T) {
				for l := range lists {
					got := []*Conn{}
					for c := lists[l].First(); c != nil; c = c.Next() {
						got = append(got, c)
					}
					require.Equal(t, model[l], got)
					require.Equal(t, len(got), lists[l].Len())
					if len(got) > 0 {
						require.Same(t, got[len(got)-1], lists[l].Last())
					} else {
						require.Nil(t, lists[l].Last())
					}
				}
			},
		})
	})
}

func TestClosedConnLeavesItsList(t *testing.T) {
	r := newRig(t, 3)
	a, _ := r.open()
	b, _ := r.open()
	r.table.Waiting.Push(a)
	r.table.Waiting.Push(b)
	a.Close()
	require.Same(t, b, r.table.Waiting.First())
	require.Equal(t, 1, r.table.Waiting.Len())
	c, _ := r.open()
	r.table.Waiting.Push(c)
	require.Same(t, c, r.table.Waiting.Last())
}
