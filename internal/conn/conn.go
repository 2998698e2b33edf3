// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conn

import (
	"net/netip"
	"syscall"

	"weir/internal/event"
	"weir/internal/sys"
)

// Status is the outcome of a read or write.
type Status uint8

// What a read or write came to.
const (
	OK      Status = iota // bytes were moved
	Again                 // nothing now; the owner is told when it is worth another try
	EOF                   // the peer sends no more (reads only)
	Failed                // the connection is broken; Errno says how
	Refused               // the kernel cannot do that with such a socket (SpliceIn only); nothing has happened to it
)

// Owner gets the events of a connection.
type Owner interface {
	// OnReady is called when the connection has become readable or writable, or has failed.
	OnReady(c *Conn)
	// OnTimeout is called when the deadline set with Arm has passed.
	OnTimeout(c *Conn)
}

// Bits of Conn.ready.
const (
	readable uint8 = 1 << iota
	writable
	hungUp // the peer has closed its side: a short read does not mean that nothing more is there
)

// Conn is one connection: to a client or to an origin.
type Conn struct {
	owner Owner
	table *Table
	timer event.Timer
	token event.Token

	fd    int32
	ready uint8
	bare  bool // it has no socket: see Table.OpenBare
	errno syscall.Errno

	// Serial numbers connections in the order in which they were opened, from 1 ($connection).
	Serial uint64
	// Requests counts the requests that this connection has carried.
	Requests uint32
	// OpenedMs is the loop's time at which the connection was opened.
	OpenedMs int64
	// Peer is the other side's address; the zero value for a unix socket.
	Peer netip.AddrPort
	// From is the address that a connection to an origin was bound to; the zero value: the kernel chose it.
	From netip.AddrPort
	// Listener is where a client's connection was accepted; nil for one to an origin.
	Listener *Listener

	// Attached belongs to the owner of client connections: what it has to give back when this one is closed. Mostly nil.
	Attached any

	// Announced belongs to the owner of client connections: what a proxy in front has said about the client. Mostly nil.
	Announced any

	prev, next *Conn
	list       *List

	peerText [46]byte // the address of Peer in text, the longest being an IPv6 address with an embedded IPv4 one
	peerLen  uint8
}

// SetOwner gives the connection to another owner.
func (c *Conn) SetOwner(o Owner) { c.owner = o }

// FD is the descriptor, for a system call that this package does not make.
func (c *Conn) FD() int { return int(c.fd) }

// Errno says why the last call gave Failed.
func (c *Conn) Errno() syscall.Errno { return c.errno }

// Readable says whether a read may find something.
func (c *Conn) Readable() bool { return c.ready&readable != 0 }

// Writable says whether a write may find room.
func (c *Conn) Writable() bool { return c.ready&writable != 0 }

// HungUp says whether the peer has closed its side, or the connection has failed. Unread bytes may still be there.
func (c *Conn) HungUp() bool { return c.ready&hungUp != 0 }

// PeerText is the peer's address without the port; "unix:" for a unix socket.
func (c *Conn) PeerText() []byte { return c.peerText[:c.peerLen] }

// Mark notes the events of an epoll mask. See event.Handler.
func (c *Conn) Mark(events uint32) {
	if events&(sys.EpollIn|sys.EpollRdHup|sys.EpollErr|sys.EpollHup) != 0 {
		c.ready |= readable
		if events&(sys.EpollRdHup|sys.EpollErr|sys.EpollHup) != 0 {
			c.ready |= hungUp
		}
	}
	if events&(sys.EpollOut|sys.EpollErr|sys.EpollHup) != 0 {
		c.ready |= writable
	}
}

// Run tells the owner. See event.Handler.
func (c *Conn) Run() { c.owner.OnReady(c) }

// OnTimer tells the owner. See event.Expirer.
func (c *Conn) OnTimer(*event.Timer) { c.owner.OnTimeout(c) }

// Arm sets the deadline, in the loop's milliseconds; it replaces an earlier one.
func (c *Conn) Arm(deadlineMs int64) { c.table.timers.Arm(&c.timer, deadlineMs) }

// Armed says whether a deadline is set.
func (c *Conn) Armed() bool { return c.timer.Armed() }

// Disarm takes the deadline away.
func (c *Conn) Disarm() { c.timer.Disarm() }

// Read reads into b, which must not be empty.
func (c *Conn) Read(b []byte) (int, Status) {
	n, errno := sys.Recv(int(c.fd), b)
	return c.read(n, len(b), errno)
}

func (c *Conn) read(n, room int, errno syscall.Errno) (int, Status) {
	if n > 0 {
		if n < room && c.ready&hungUp == 0 {
			c.ready &^= readable
		}
		return n, OK
	}
	if errno == 0 {
		return 0, EOF
	}
	if errno == sys.EAGAIN {
		c.ready &^= readable
		return 0, Again
	}
	return c.fail(errno)
}

// Readv reads into the pieces of iov, room bytes in all, in one call.
func (c *Conn) Readv(iov []sys.Iovec, room int) (int, Status) {
	n, errno := sys.Readv(int(c.fd), iov)
	return c.read(n, room, errno)
}

// Write writes from b, which must not be empty.
func (c *Conn) Write(b []byte) (int, Status) {
	n, errno := sys.Send(int(c.fd), b)
	return c.wrote(n, len(b), errno)
}

// Writev writes the pieces of iov, total bytes in all, in one call.
func (c *Conn) Writev(iov []sys.Iovec, total int) (int, Status) {
	n, errno := sys.Writev(int(c.fd), iov)
	return c.wrote(n, total, errno)
}

func (c *Conn) wrote(n, wanted int, errno syscall.Errno) (int, Status) {
	if errno == 0 {
		if n < wanted {
			c.ready &^= writable
		}
		return n, OK
	}
	if errno == sys.EAGAIN {
		c.ready &^= writable
		return 0, Again
	}
	return c.fail(errno)
}

func (c *Conn) fail(errno syscall.Errno) (int, Status) {
	c.errno = errno
	c.ready |= hungUp
	return 0, Failed
}

// Connected says how a connect that had been started came out: 0 when the connection stands.
func (c *Conn) Connected() syscall.Errno {
	c.errno = sys.SocketError(int(c.fd))
	return c.errno
}

// Quiet looks, with a system call, at a connection on which nothing may arrive now: false when bytes or a close wait in it.
func (c *Conn) Quiet() bool {
	if c.ready&hungUp != 0 {
		return false
	}
	_, errno := sys.Peek(int(c.fd))
	if errno != sys.EAGAIN {
		return false
	}
	c.ready &^= readable
	return true
}

// Close ends the connection and gives its place in the table back. c must not be used afterwards.
func (c *Conn) Close() { c.table.close(c) }

// Part is Close for a connection that another process goes on with: nothing of it is seen on the wire.
func (c *Conn) Part() { c.table.part(c) }

// Owner is who gets the connection's events.
func (c *Conn) Owner() Owner { return c.owner }

// ResetOnClose has the next Close send a reset, so that the peer does not take what it got for the whole.
func (c *Conn) ResetOnClose() { sys.SetLingerReset(int(c.fd)) }

// ShutdownWrite tells the peer that nothing more will be sent; reading goes on.
func (c *Conn) ShutdownWrite() { sys.ShutdownWrite(int(c.fd)) }

// DeadlineMs is the deadline that was set with Arm last.
func (c *Conn) DeadlineMs() int64 { return c.timer.DeadlineMs() }
