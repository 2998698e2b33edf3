// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package worker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"syscall"

	"go.uber.org/zap"

	"weir/internal/conn"
	"weir/internal/event"
	"weir/internal/ipc"
	"weir/internal/limitconn"
	"weir/internal/logfile"
	"weir/internal/request"
	"weir/internal/slots"
	"weir/internal/sys"
)

// taker is the end of the hand-over queue that the workers of the newest generation read. Like a listening socket it is level-triggered and
// exclusive, and connections are taken a few at a time, so that they spread over the workers.
//
//	reading --crowded, no room--> paused --timer--> reading --drain, while somebody newer reads--> closed --nobody newer reads any more--> reading
type taker struct {
	w       *worker
	queue   *ipc.Queue
	timer   event.Timer
	token   event.Token
	reading bool
	patient bool // the pause is over: take some, crowded or not
	closed  bool
	fullMs  int64 // since when there is no room; 0: there is
}

const (
	takeBatch   = 4  // connections of one turn
	takePauseMs = 8  // how long others are given the chance, when this worker has more than its share
	takeFullMs  = 64 // how long a connection waits for room before idle ones are closed for it
	takeResumed = 32 // connections taken after that
	giveAgainMs = 50 // when to look for room in the queue again, should the event for it be missed
)

// start puts the queue into the loop.
func (t *taker) start(w *worker, fd int) error {
	t.w, t.queue = w, ipc.NewQueue(fd)
	t.timer.Init(t)
	if errno := t.resume(); errno != 0 {
		return fmt.Errorf("epoll_ctl(hand-over queue): %w", errno)
	}
	t.patient = false
	return nil
}

func (t *taker) resume() syscall.Errno {
	token, errno := t.w.loop.Register(t.queue.FD(), sys.EpollIn|sys.EpollExclusive, t)
	if errno == 0 {
		t.token, t.reading, t.patient = token, true, true
	}
	return errno
}

func (t *taker) pause() {
	t.w.loop.Forget(t.queue.FD())
	t.w.loop.Unregister(t.token)
	t.reading = false
	t.w.timers.Arm(&t.timer, t.w.clock.Ms()+takePauseMs)
}

// stop leaves the queue to others.
func (t *taker) stop() {
	if t.queue == nil || t.closed {
		return
	}
	t.closed = true
	t.w.timers.Unlink(&t.timer)
	if t.reading {
		t.w.loop.Forget(t.queue.FD())
		t.w.loop.Unregister(t.token)
		t.reading = false
	}
}

// again reads the queue after stop: those whom it was left to are leaving too, and what they have not taken is nobody else's.
func (t *taker) again() {
	if t.closed {
		t.closed = false
		t.OnTimer(&t.timer)
	}
}

// OnTimer ends a pause. See event.Expirer.
func (t *taker) OnTimer(*event.Timer) {
	if err := t.resume(); err != 0 {
		t.w.log.Limited("hand-over", logfile.LevelError, "the hand-over queue cannot be read", zap.Error(err))
		t.w.timers.Arm(&t.timer, t.w.clock.Ms()+takePauseMs)
	}
}

// Mark does nothing: there is only one event. See event.Handler.
func (t *taker) Mark(uint32) {}

// Run takes connections. See event.Handler.
func (t *taker) Run() {
	batch := takeBatch
	if t.patient {
		batch = takeResumed
	}
	for range batch {
		if !t.room() {
			t.pause()
			return
		}
		if !t.take() {
			break
		}
	}
	if !t.patient && t.w.crowded() {
		t.pause()
	}
	t.patient = false
}

// room says whether there is a place for another connection. At first it leaves the clients that are here alone: a worker of the same generation may have room, or
// the connection may stay where it is. After a while idle ones have to go, as for a new connection.
func (t *taker) room() bool {
	now := t.w.clock.Ms()
	if t.w.roomy() && t.mayReceive() {
		t.fullMs = 0
		return true
	}
	if t.fullMs == 0 {
		t.fullMs = now
	}
	return now >= t.fullMs+takeFullMs && t.w.Room() && t.makeDescriptors()
}

// messageDescriptors is how many descriptors one message brings at most.
const messageDescriptors = 2

// mayReceive says whether this process may have the descriptors of one more message. The kernel closes those that it may not have: a connection
// would be lost that another worker, or this one a little later, can take.
func (t *taker) mayReceive() bool {
	for range messageDescriptors {
		fd, err := sys.DupAbove(t.queue.FD(), 0)
		if err != nil {
			return false
		}
		defer sys.Close(fd)
	}
	return true
}

// makeDescriptors closes idle connections until there are descriptors for one more message.
func (t *taker) makeDescriptors() bool {
	for range messageDescriptors {
		if t.mayReceive() {
			return true
		}
		t.w.engine.MakeRoom()
	}
	if t.mayReceive() {
		return true
	}
	t.w.log.Limited("hand-over", logfile.LevelCrit, "connections from other workers wait: this process has as many descriptors as it may")
	return false
}

// takeAll empties the queue; it returns how many connections there were.
func (t *taker) takeAll() int {
	n := 0
	for t.queue != nil && !t.closed && t.w.Room() && t.mayReceive() && t.take() {
		n++
	}
	return n
}

// take takes one connection out of the queue; false when there is none.
func (t *taker) take() bool {
	c, fds, err := t.queue.Recv()
	switch {
	case errors.Is(err, ipc.ErrAgain):
		return false
	case err != nil:
		t.w.log.Limited("hand-over", logfile.LevelError, "a connection from another worker cannot be taken over", zap.Error(err))
		return false
	}
	t.adopt(c, fds)
	return true
}

// adopt moves what the connection holds to this worker, tells the sender, and goes on with it.
func (t *taker) adopt(c *ipc.Connection, fds []int) {
	w, fd := t.w, fds[0]
	if len(fds) > 1 {
		defer sys.Close(fds[1])
	}
	if len(fds) > 1 && c.Worker == w.incarnation() { // nobody has taken it: it goes on as it was, once the end of the other socket is seen
		sys.Close(fd)
		return
	}
	if len(fds) > 1 && request.Withdrawn(fds[1]) {
		sys.Close(fd)
		return
	}
	l := w.listenerAt(c.Listener)
	if l == nil { // its listener has gone while it was on the way
		w.log.Limited("hand-over", logfile.LevelWarn, "a connection was handed over whose listening address is not served any more",
			zap.String("listener", c.Listener), zap.Stringer("client", c.Peer))
		sys.Close(fd)
		return
	}
	a := request.Adopted{Peer: c.Peer, Serial: c.Serial, Requests: c.Requests, AgeMs: c.AgeMs, IdleMs: c.IdleMs, Proxied: c.Proxied}
	taken := w.moveHere(c, &a)
	if len(fds) > 1 {
		if _, errno := sys.Write(fds[1], binary.LittleEndian.AppendUint64(nil, uint64(taken))); errno != 0 {
			if request.Withdrawn(fds[1]) { // in this very moment
				limitconn.Release(a.Holds)
				sys.Close(fd)
				return
			}
			// The sender is dead, and is reaped without what has been moved.
			w.log.Info("a worker that handed over a connection has gone", zap.Int("slot", c.Worker.Slot), zap.Error(errno))
		}
	}
	w.engine.Adopt(l, fd, a)
}

// moveHere moves the connection's places from the sender's slot to this worker's.
func (w *worker) moveHere(c *ipc.Connection, a *request.Adopted) (taken ipc.Taken) {
	still := func() bool { return w.isStill(c.Worker) }
	for i, p := range c.Places {
		zone := w.zones.byInode[p.Zone]
		if zone == nil {
			continue // this generation does not count in it: the sender gives the place back
		}
		hold, verdict := zone.Move(limitconn.Place{Share: p.Share, Hash: p.Hash, Epoch: p.Epoch}, c.Worker.Slot, still)
		switch verdict {
		case limitconn.Passed:
			taken |= 1 << i
			a.Holds = append(a.Holds, hold)
		case limitconn.Rejected:
			a.Lost = append(a.Lost, zone)
		default: // no room for another share, or damaged: the sender gives the place back; the engine asks for another
			w.log.Limited("hand-over", logfile.LevelCrit, "a place in a limit zone cannot be handed over",
				zap.String("zone", zone.Name()), zap.Stringer("why", verdict))
		}
	}
	return taken
}

// isStill says whether a slot's shares are those of the process that is meant: it has not been reaped.
func (w *worker) isStill(who ipc.Incarnation) bool {
	if who.Slot < 0 || who.Slot >= w.slots.Slots() {
		return false
	}
	s := w.slots.Get(who.Slot)
	const generations = 4096 // of the slot table
	return s.PID == who.PID && s.Generation == who.Generation%generations && (s.State == slots.Ready || s.State == slots.Draining || s.State == slots.Dead)
}

// listenerAt finds a listening address by its ipc.ListenerKey.
func (w *worker) listenerAt(key string) *conn.Listener {
	for _, l := range w.listeners {
		if l.ID < len(w.keys) && w.keys[l.ID] == key {
			return l
		}
	}
	return nil
}

// giver sends connections into the queue. It is the request.Giver of a worker that drains.
type giver struct {
	w         *worker
	queue     *ipc.Queue
	listeners []string // ipc.ListenerKey of those that the newest generation has; empty: all
	timer     event.Timer
	watched   bool
	message   ipc.Connection
}

// Takes looks whether the newest generation listens there. See request.Giver.
func (g *giver) Takes(l *conn.Listener) bool {
	if l.ID >= len(g.w.keys) {
		return false // the master's own connection to this worker
	}
	return len(g.listeners) == 0 || slices.Contains(g.listeners, g.w.keys[l.ID])
}

// Give sends a connection. See request.Giver.
func (g *giver) Give(c *conn.Conn, places []limitconn.Hold, reply int) error {
	w, now := g.w, g.w.clock.Ms()
	m := &g.message
	*m = ipc.Connection{
		Listener: w.keys[c.Listener.ID], Peer: c.Peer, Serial: c.Serial, Requests: c.Requests, AgeMs: now - c.OpenedMs,
		IdleMs: max(c.DeadlineMs()-now, 0), Worker: w.incarnation(), Places: m.Places[:0], Proxied: request.Announced(c),
	}
	for _, h := range places {
		zone, p := h.Zone(), h.Place()
		m.Places = append(m.Places, ipc.Place{Zone: w.zones.inodes[zone], Share: p.Share, Hash: p.Hash, Epoch: p.Epoch})
	}
	var err error
	if len(places) > 0 {
		err = g.queue.Send(m, c.FD(), reply)
	} else {
		err = g.queue.Send(m, c.FD())
	}
	if errors.Is(err, ipc.ErrAgain) {
		g.watch()
		w.timers.Arm(&g.timer, now+giveAgainMs)
		return request.ErrStalled
	}
	return err
}

// watch has the loop tell when there is room.
func (g *giver) watch() {
	if g.watched {
		return
	}
	if _, errno := g.w.loop.Register(g.queue.FD(), sys.EpollOut|sys.EpollEdge, g); errno == 0 {
		g.watched = true
	}
}

// Mark does nothing: there is only one event. See event.Handler.
func (g *giver) Mark(uint32) {}

// Run goes on when there is room. See event.Handler.
func (g *giver) Run() { g.w.engine.HandOverWaiting() }

// OnTimer goes on in any case. See event.Expirer.
func (g *giver) OnTimer(*event.Timer) { g.w.engine.HandOverWaiting() }

// incarnation tells this process from all others that have had, or will have, its slot.
func (w *worker) incarnation() ipc.Incarnation {
	return ipc.Incarnation{Slot: w.manifest.Slot, Generation: w.manifest.Generation, PID: w.pid}
}
