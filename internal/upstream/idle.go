// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package upstream

import (
	"net/netip"
	"syscall"

	"weir/internal/conn"
	"weir/internal/limitconn"
	"weir/internal/sys"
)

// peekAfterMs is the idle time from which a kept connection is looked at with a system call before it is used. One that became
// idle a moment ago has been covered by the events of this turn, which are all marked before any of them is acted on.
const peekAfterMs = 1000

// Group is the group that the peer belongs to.
func (p *Peer) Group() *Group { return p.group }

// TakeIdle gives a kept connection from an address to the peer, the one used last, or nil. The caller sets its owner. A request
// that is not repeatable is worth a look at the connection every time: if the request is lost with the connection, it must not be sent again.
func (p *Peer) TakeIdle(nowMs int64, from netip.AddrPort, repeatable bool) *conn.Conn {
	for c, before := p.idle.Last(), (*conn.Conn)(nil); c != nil; c = before {
		before = c.Prev()
		if c.From != from {
			continue
		}
		idleMs := nowMs - (c.DeadlineMs() - p.group.KeepaliveIdleMs)
		fresh := !c.Readable() && !c.HungUp()
		if fresh && (idleMs >= peekAfterMs || !repeatable) {
			fresh = c.Quiet()
		}
		p.drop(c)
		if fresh {
			c.Disarm()
			return c
		}
		c.Close()
	}
	return nil
}

// KeepIdle keeps a connection whose request is over and whose origin agreed to go on, or closes it: when it has
// carried its requests, is too old, shows something, or there is no room.
func (p *Peer) KeepIdle(c *conn.Conn, nowMs int64) {
	g := p.group
	if p.left || g.Keepalive == 0 || c.Requests >= g.KeepaliveRequests || nowMs-c.OpenedMs >= g.KeepaliveTimeMs ||
		c.HungUp() || c.Readable() && !c.Quiet() {
		c.Close()
		return
	}
	if g.idle >= g.Keepalive {
		g.Evict()
	}
	if g.KeepaliveTotal > 0 && !g.keepOne() {
		c.Close()
		return
	}
	c.SetOwner(p)
	c.Arm(nowMs + g.KeepaliveIdleMs)
	p.idle.Push(c)
	g.idle++
}

// keepOne takes a place under KeepaliveTotal, that of another connection if need be.
func (g *Group) keepOne() bool {
	if g.Places.Acquire(&g.kept, g.keptKey, uint32(g.KeepaliveTotal), false) == limitconn.Passed {
		return true
	}
	if g.idle == 0 {
		return false
	}
	g.Evict()
	return g.Places.Acquire(&g.kept, g.keptKey, uint32(g.KeepaliveTotal), false) == limitconn.Passed
}

// Evict closes the longest idle connection of the peer that has the most of them. There must be one.
func (g *Group) Evict() {
	most := g.peers[0]
	for _, p := range g.peers[1:] {
		if p.idle.Len() > most.idle.Len() {
			most = p
		}
	}
	c := most.idle.First()
	most.drop(c)
	c.Close()
}

// Idle is the number of kept connections.
func (g *Group) Idle() int { return g.idle }

func (p *Peer) drop(c *conn.Conn) {
	p.idle.Remove(c)
	g := p.group
	g.idle--
	if g.KeepaliveTotal > 0 {
		one := [1]limitconn.Hold{g.kept}
		limitconn.Release(one[:])
	}
}

// OnReady closes an idle connection on which something arrived: a close, or bytes that nobody asked for. See conn.Owner.
func (p *Peer) OnReady(c *conn.Conn) {
	if c.Readable() || c.HungUp() {
		p.drop(c)
		c.Close()
	}
}

// OnTimeout closes a connection that has been idle for long enough. See conn.Owner.
func (p *Peer) OnTimeout(c *conn.Conn) {
	p.drop(c)
	c.Close()
}

// Connect begins a connection to the peer for owner, with options that may be nil. It is writable at once when it stands already; otherwise an event tells, and
// Conn.Connected says how it came out. On an error there is no connection.
func (p *Peer) Connect(t *conn.Table, owner conn.Owner, o *sys.ConnectOptions) (*conn.Conn, syscall.Errno) {
	fd, errno := sys.ConnectStart(&p.Addr, o)
	if fd < 0 {
		return nil, errno
	}
	open := t.Open
	if errno == sys.EINPROGRESS {
		open = t.OpenConnecting
	}
	c, errno := open(fd, owner, p.IP)
	if errno != 0 {
		sys.Close(fd)
	}
	return c, errno
}
