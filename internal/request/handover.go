// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"encoding/binary"
	"errors"
	"math"
	"net/netip"
	"slices"

	"go.uber.org/zap"

	"weir/internal/conn"
	"weir/internal/limitconn"
	"weir/internal/logfile"
	"weir/internal/sys"
)

// Giver hands clients' connections to other processes.
type Giver interface {
	// Takes says whether connections that came in on l will be taken, as far as can be told now.
	Takes(l *conn.Listener) bool
	// Give sends the connection with its places. With places, reply is a socket to be sent along: see Engine.handOver. It does not change
	// the connection. ErrStalled: not now. Any other error: never again.
	Give(c *conn.Conn, places []limitconn.Hold, reply int) error
}

// ErrStalled says that a Giver has no room at present; it calls HandOverWaiting when it has.
var ErrStalled = errors.New("no room to hand over a connection")

// handOver gives a connection that has nothing in flight, and is on no list, to another process. True: it is not here any more, or is on its way.
//
// Nothing is read from it before: what the client sends from now on is read by whoever has it then. A connection that holds places under the limits of
// its listening address stays open here too until the other process has said which of them it has moved to itself: so a place is at each moment
// counted once, and when the other one dies first, the connection goes on here. It is the other one's, and never both's, from
// the moment of its answer, before which it reads nothing.
func (e *Engine) handOver(c *conn.Conn) bool {
	d := &e.drain
	if d.giver == nil || d.stalled || c.HungUp() || !d.giver.Takes(c.Listener) {
		return false
	}
	if h, ok := c.Attached.(*connHolds); ok {
		return e.handOverHeld(c, h)
	}
	if !e.gave(d.giver.Give(c, nil, -1)) {
		return false
	}
	e.partClient(c)
	return true
}

// gave looks at what a Giver has said.
func (e *Engine) gave(err error) bool {
	switch {
	case err == nil:
		e.drain.announceMs = 0
		return true
	case errors.Is(err, ErrStalled):
		e.drain.stalled = true
		if e.drain.announceMs == 0 {
			e.drain.announceMs = e.Clock.Ms() + stallMs
		}
	default:
		e.Log.Error("connections cannot be handed over", zap.Error(err))
		e.drain.giver = nil
		for c := e.Table.Waiting.First(); c != nil; c = c.Next() {
			e.sayFarewell(c)
		}
	}
	return false
}

// partClient is closeClient for a connection that goes on elsewhere.
func (e *Engine) partClient(c *conn.Conn) {
	e.Stats.Active.Dec()
	c.Part()
}

// HandOverWaiting hands over what waits for a request, as far as there is room.
func (e *Engine) HandOverWaiting() {
	d := &e.drain
	d.stalled = false
	for range e.Table.Waiting.Len() {
		c := e.Table.Waiting.First()
		if d.stalled || d.giver == nil {
			break
		}
		e.Table.Waiting.Remove(c)
		if e.handOver(c) {
			e.Stats.Waiting.Dec()
		} else {
			e.Table.Waiting.Push(c)
			e.sayFarewell(c)
		}
	}
	e.CheckEmpty()
}

// handing is a connection with places on its way to another process.
type handing struct {
	engine *Engine
	client *conn.Conn
	holds  *connHolds
	reply  *conn.Conn // where the other process answers
	idleMs int64      // the client's deadline
	sentMs int64      // when it was sent
}

// answerMs is how long a connection waits at most for the other process to say that it has it.
const answerMs = 10_000

// handOverHeld sends one end of a pair of sockets along, for the answer.
func (e *Engine) handOverHeld(c *conn.Conn, h *connHolds) bool {
	if e.Table.Full() || len(h.holds) > takenBits {
		return false
	}
	ours, theirs, err := sys.SeqpacketPair()
	if err != nil {
		e.Log.Limited("hand-over", logfile.LevelError, "a connection cannot be handed over", zap.Error(err))
		return false
	}
	defer sys.Close(theirs)
	w := &handing{engine: e, client: c, holds: h, sentMs: e.Clock.Ms()}
	reply, errno := e.Table.Open(ours, w, netip.AddrPort{})
	if errno != 0 {
		sys.Close(ours)
		return false
	}
	w.reply = reply
	if !e.gave(e.drain.giver.Give(c, h.holds, theirs)) {
		reply.Close()
		return false
	}
	w.idleMs = c.DeadlineMs()
	c.SetOwner(w)
	c.Disarm()
	e.drain.handing++
	return true
}

// takenBits is how many places an answer can speak of: ipc.Taken.
const takenBits = 64

// OnReady takes the answer. What the client sends meanwhile is for whoever has the connection in the end. See conn.Owner.
func (w *handing) OnReady(c *conn.Conn) {
	if c != w.reply || !c.Readable() {
		return
	}
	var answer [8]byte
	n, st := c.Read(answer[:])
	if st == conn.Again {
		return
	}
	e, client := w.engine, w.client
	w.reply.Close()
	e.drain.handing--
	if st != conn.OK || n < len(answer) { // it was not taken: the process has died, or cannot use it
		client.Arm(w.idleMs)
		e.await(client)
		if client.Readable() {
			e.OnReady(client)
		}
		return
	}
	taken := binary.LittleEndian.Uint64(answer[:])
	for i := range w.holds.holds {
		if taken>>i&1 != 0 {
			w.holds.holds[i] = limitconn.Hold{} // the other one's
		}
	}
	e.dismiss(w.holds)
	e.partClient(client)
	e.CheckEmpty()
}

// withdraw ends the wait for an answer: the connection goes on here, unless the answer is there already. Whoever takes it out of the queue later finds it withdrawn, or
// cannot say any more that it was taken: see Withdrawn.
func (w *handing) withdraw() {
	w.engine.Log.Limited("hand-over", logfile.LevelWarn, "a connection that was handed over has not been taken: it goes on here")
	sys.Write(w.reply.FD(), []byte{0})
	sys.Shutdown(w.reply.FD())
	w.reply.Mark(sys.EpollIn)
	w.OnReady(w.reply)
}

// Withdrawn looks, on the socket for the answer, whether the sender has stopped waiting for it: the connection is the sender's then. As the sender says so before it
// makes an answer impossible, this is certain after an answer that could not be sent; a sender that has died has said nothing.
func Withdrawn(reply int) bool {
	n, errno := sys.Peek(reply)
	return errno == 0 && n > 0
}

// OnTimeout is never called: no deadline is set. See conn.Owner.
func (w *handing) OnTimeout(*conn.Conn) {}

// Adopted is what an engine has to know of a connection from another process.
type Adopted struct {
	Peer     netip.AddrPort
	Serial   uint64
	Requests uint32
	AgeMs    int64  // since it was accepted
	IdleMs   int64  // how long it may be silent from now on
	Proxied  []byte // the header of the PROXY protocol that it began with; empty: none has come
	// Holds are the places that have been moved to this process. Lost are the zones of those that could not be, because they are not there any more.
	Holds []limitconn.Hold
	Lost  []*limitconn.Zone
}

// Adopt goes on with a connection of another process. It owns fd and the places. A connection that has lost a place has to get one anew, or it is closed; one that
// has none in a zone, because its limit is new, is counted there but not refused. False: it has been closed.
func (e *Engine) Adopt(l *conn.Listener, fd int, a Adopted) bool {
	holds, ok := e.completePlaces(l, fd, a)
	if !ok {
		limitconn.Release(a.Holds)
		sys.Close(fd)
		return false
	}
	c, errno := e.Table.Open(fd, e, a.Peer)
	if errno != 0 {
		e.Log.Error("a connection that was handed over is lost", zap.Error(errno))
		limitconn.Release(holds)
		sys.Close(fd)
		return false
	}
	if len(holds) > 0 {
		c.Attached = &connHolds{holds: holds}
	}
	c.Listener, c.Serial, c.Requests, c.OpenedMs = l, a.Serial, a.Requests, e.Clock.Ms()-a.AgeMs
	e.adoptProxied(c, a.Proxied)
	e.Stats.Active.Inc()
	e.park(c, a.IdleMs)
	return true
}

// completePlaces adds the places that a connection should have and has not.
func (e *Engine) completePlaces(l *conn.Listener, fd int, a Adopted) (holds []limitconn.Hold, ok bool) {
	limits := e.Binds[l.ID].Limits
	if limits == nil || limits.bypassed(a.Peer.Addr()) {
		return a.Holds, true
	}
	e.source = acceptSource{peer: a.Peer, fd: fd, bind: e.Binds[l.ID]}
	holds = a.Holds
	for i := range limits.List {
		lim := &limits.List[i]
		zone := lim.Zone.Zone
		if heldIn(a.Holds, zone) {
			continue
		}
		ask := limitconn.Limit{Zone: zone, Key: lim.Key.Append(nil, &e.source), Max: math.MaxUint32, AllowFull: true}
		if slices.Contains(a.Lost, zone) {
			ask.Max, ask.DryRun = lim.Max, limits.DryRun
		}
		var v limitconn.Verdict
		if holds, v, _ = limitconn.Acquire(holds, []limitconn.Limit{ask}); v == limitconn.Rejected {
			limitconn.Release(holds[len(a.Holds):])
			return nil, false
		}
	}
	return holds, true
}

func heldIn(holds []limitconn.Hold, zone *limitconn.Zone) bool {
	for _, h := range holds {
		if h.Zone() == zone {
			return true
		}
	}
	return false
}
