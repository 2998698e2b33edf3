// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conn

import (
	"fmt"
	"net/netip"
	"syscall"

	"weir/internal/clock"
	"weir/internal/event"
	"weir/internal/sys"
)

// connEvents is what every connection is registered for, once.
const connEvents = sys.EpollIn | sys.EpollOut | sys.EpollRdHup | sys.EpollEdge

// Table holds all connections of one worker, in one array made at start. The memory of a place is not touched before it is used first.
type Table struct {
	loop   *event.Loop
	timers *event.Timers
	clock  *clock.Clock

	conns  []Conn
	begun  int   // places that have been used
	free   *Conn // those of them that are not in use, linked through next
	used   int
	serial uint64

	// Waiting are the clients that have nothing in flight, oldest first: what may be closed when the table is full.
	Waiting List
}

// NewTable makes a table of size connections (worker_connections).
func NewTable(size int, loop *event.Loop, timers *event.Timers, ck *clock.Clock) *Table {
	return &Table{loop: loop, timers: timers, clock: ck, conns: make([]Conn, size)}
}

// take gives a place; nil when the table is full.
func (t *Table) take() *Conn {
	c := t.free
	switch {
	case c != nil:
		t.free = c.next
	case t.begun < len(t.conns):
		c = &t.conns[t.begun]
		t.begun++
	default:
		return nil
	}
	t.used++
	return c
}

// give takes a place back.
func (t *Table) give(c *Conn) {
	c.fd, c.bare, c.owner = -1, false, nil
	c.next = t.free
	t.free = c
	t.used--
}

// Used is the number of open connections.
func (t *Table) Used() int { return t.used }

// Size is the number of connections that there is room for.
func (t *Table) Size() int { return len(t.conns) }

// Full says whether there is no room for another connection.
func (t *Table) Full() bool { return t.used == len(t.conns) }

// Open registers the socket fd as a connection of owner. peer is the other side. ENOSPC means that the table is
// full. On any error the socket is left to the caller.
func (t *Table) Open(fd int, owner Owner, peer netip.AddrPort) (*Conn, syscall.Errno) {
	c := t.take()
	if c == nil {
		return nil, syscall.ENOSPC
	}
	token, errno := t.loop.Register(fd, connEvents, c)
	if errno != 0 {
		t.give(c)
		return nil, errno
	}
	t.serial++
	c.owner, c.table, c.token = owner, t, token
	c.timer.Init(c)
	c.fd, c.ready, c.errno = int32(fd), writable, 0
	c.Serial, c.Requests, c.OpenedMs = t.serial, 0, t.clock.Ms()
	c.Listener, c.Attached, c.Announced, c.next = nil, nil, nil, nil
	c.setPeer(peer)
	return c, 0
}

// OpenConnecting is Open for a socket whose connect is under way: it counts as writable only when the kernel says so.
func (t *Table) OpenConnecting(fd int, owner Owner, peer netip.AddrPort) (*Conn, syscall.Errno) {
	c, errno := t.Open(fd, owner, peer)
	if errno == 0 {
		c.ready = 0
	}
	return c, errno
}

// SetPeer changes what Peer and PeerText say, for as long as somebody else speaks for the peer.
func (c *Conn) SetPeer(peer netip.AddrPort) { c.setPeer(peer) }

func (c *Conn) setPeer(peer netip.AddrPort) {
	c.Peer = peer
	if !peer.IsValid() {
		c.peerLen = uint8(copy(c.peerText[:], "unix:"))
		return
	}
	c.peerLen = uint8(len(peer.Addr().AppendTo(c.peerText[:0])))
}

// At is the connection in a place of the table, 0 to Size-1, with a socket or without; nil when there is none. It is for the rare looks at all of them.
func (t *Table) At(i int) *Conn {
	if c := &t.conns[i]; i < t.begun && (c.fd >= 0 || c.bare) {
		return c
	}
	return nil
}

// OpenBare gives an entry without a socket, for something that is done for the client c: it has deadlines, and says of its peer what c says. Nothing
// can be read from it or written to it. It goes with Close. nil: there is no room.
func (t *Table) OpenBare(like *Conn) *Conn {
	c := t.take()
	if c == nil {
		return nil
	}
	c.table, c.token, c.owner = t, event.Token{}, nil
	c.timer.Init(c)
	c.fd, c.ready, c.errno, c.bare = -1, 0, 0, true
	c.Serial, c.Requests, c.OpenedMs = like.Serial, like.Requests, like.OpenedMs
	c.Listener, c.Attached, c.Announced, c.next = like.Listener, nil, like.Announced, nil
	c.setPeer(like.Peer)
	return c
}

func (t *Table) closeBare(c *Conn) {
	t.timers.Unlink(&c.timer)
	t.give(c)
}

// part is close for a socket that stays open in another process: closing it does not take it out of the epoll instance then.
func (t *Table) part(c *Conn) {
	t.loop.Forget(int(c.fd))
	t.close(c)
}

func (t *Table) close(c *Conn) {
	if c.bare {
		t.closeBare(c)
		return
	}
	if c.fd < 0 {
		panic(fmt.Sprintf("conn: close of connection %d, which is closed", c.Serial))
	}
	if c.list != nil {
		c.list.Remove(c)
	}
	t.timers.Unlink(&c.timer)
	t.loop.Unregister(c.token)
	sys.Close(int(c.fd))
	t.give(c)
}

// List is a list of connections in order. The zero List is empty.
type List struct {
	first, last *Conn
	n           int
}

// Len is the number of connections on the list.
func (l *List) Len() int { return l.n }

// First is the connection that has been on the list longest; nil when it is empty.
func (l *List) First() *Conn { return l.first }

// Last is the connection that came last; nil when the list is empty.
func (l *List) Last() *Conn { return l.last }

// Next is the connection that came after c on its list; nil at the end.
func (c *Conn) Next() *Conn { return c.next }

// Prev is the connection that came before c on its list; nil at the beginning.
func (c *Conn) Prev() *Conn { return c.prev }

// Push appends c, which must not be on a list.
func (l *List) Push(c *Conn) {
	if c.list != nil {
		panic(fmt.Sprintf("conn: connection %d is on a list already", c.Serial))
	}
	c.list, c.prev, c.next = l, l.last, nil
	if l.last == nil {
		l.first = c
	} else {
		l.last.next = c
	}
	l.last = c
	l.n++
}

// Remove takes c off the list, which it must be on.
func (l *List) Remove(c *Conn) {
	if c.list != l {
		panic(fmt.Sprintf("conn: connection %d is not on this list", c.Serial))
	}
	if c.prev == nil {
		l.first = c.next
	} else {
		c.prev.next = c.next
	}
	if c.next == nil {
		l.last = c.prev
	} else {
		c.next.prev = c.prev
	}
	c.list, c.prev, c.next = nil, nil, nil
	l.n--
}
