// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conn

import (
	"net/netip"
	"syscall"

	"weir/internal/event"
	"weir/internal/sys"
)

const (
	// yieldMs is how often a worker that has more than its share, and has left the listening sockets to the others, looks
	// whether that is still so.
	yieldMs = 8
	// yieldMaxMs is when it listens again all the same: the others may be stuck.
	yieldMaxMs = 64
	// shortageMs is how long no connection is accepted after the system had no descriptor or memory for one
	// (nginx waits as long: accept_mutex_delay).
	shortageMs = 500
	// yieldBatch is how many connections are taken at once after a yield: if they are still there, nobody else wanted them.
	yieldBatch = 16
)

// Acceptor is who takes what a Listener accepts.
type Acceptor interface {
	// OnAccept takes the socket fd, which came in on l. It closes fd if it has no use for it.
	OnAccept(l *Listener, fd int, peer netip.AddrPort)
	// OnShortage is told that the system refused a connection: EMFILE, ENFILE, ENOBUFS, ENOMEM. Accepting pauses.
	OnShortage(l *Listener, errno syscall.Errno)
	// Crowded says whether this worker should leave new connections on l to others for a moment.
	Crowded(l *Listener) bool
	// Loaded says whether the places are running out, so that connections should go to others while those have more. Only a Gate asks.
	Loaded() bool
	// Room says whether there is a place for one more connection; it may make one.
	Room() bool
}

// Listener is a listening socket in a worker's loop. It is level-triggered and takes one connection a turn, so that a burst
// spreads over the workers, and exclusive (EPOLLEXCLUSIVE), so that a connection wakes one worker and not all.
//
//	listening --crowded, full, shortage--> paused --timer--> listening --Close--> closed
//
// Behind a Gate it listens while the gate is open, and then neither exclusively nor with regard to the others: the gate sees to that.
//
//	shut --gate opens--> listening --gate shuts--> shut --Close--> closed
//	listening --full, shortage--> paused --timer--> shut
type Listener struct {
	// ID is the owner's number for this socket.
	ID int
	// Unix says that clients have no address.
	Unix bool
	// Own says that no other process listens on this socket.
	Own bool

	fd       int
	loop     *event.Loop
	timers   *event.Timers
	nowMs    func() int64
	acceptor Acceptor
	token    event.Token
	gate     *Gate // nil: none
	ready    bool  // behind a gate: the event has come
	state    listenState
	resumed  bool  // the first event after a pause
	pausedMs int64 // when the pause began
	longMs   int64 // for how long it may last
	timer    event.Timer
}

type listenState uint8

const (
	listenPaused listenState = iota
	listenActive
	listenShut // behind a gate: not in the loop
	listenClosed
)

// NewListener puts the listening socket fd into the loop, where it accepts from the next turn on.
func NewListener(id, fd int, unix bool, loop *event.Loop, timers *event.Timers, nowMs func() int64, a Acceptor) (*Listener, syscall.Errno) {
	l := makeListener(id, fd, unix, loop, timers, nowMs, a)
	errno := l.resume()
	l.resumed = false
	return l, errno
}

func makeListener(id, fd int, unix bool, loop *event.Loop, timers *event.Timers, nowMs func() int64, a Acceptor) *Listener {
	l := &Listener{ID: id, fd: fd, Unix: unix, loop: loop, timers: timers, nowMs: nowMs, acceptor: a}
	l.timer.Init(l)
	return l
}

// Mark notes the one event that a listening socket has. See event.Handler.
func (l *Listener) Mark(uint32) { l.ready = true }

// Run accepts. A worker that gets more than its share by it steps back at once, before the next client comes, so
// that none has to wait for this worker to make up its mind. See event.Handler.
func (l *Listener) Run() {
	if l.gate != nil {
		return // the gate has accepted
	}
	batch := 1
	if l.resumed {
		l.resumed = false
		batch = yieldBatch
	}
	for ; batch > 0 && l.state == listenActive; batch-- {
		if !l.acceptor.Room() {
			l.pause(yieldMaxMs)
			return
		}
		if !l.accept() {
			break
		}
	}
	if l.state == listenActive && l.acceptor.Crowded(l) {
		l.pause(yieldMaxMs)
	}
}

// accept takes one connection and hands it on; false when there is none.
func (l *Listener) accept() bool {
	c, ok := l.take()
	if ok {
		l.acceptor.OnAccept(l, c.fd, c.peer)
	}
	return ok
}

// accepted is a connection that nobody has yet.
type accepted struct {
	on   *Listener
	fd   int
	peer netip.AddrPort
}

// take takes one connection; false when there is none.
func (l *Listener) take() (c accepted, ok bool) {
	var from sys.Sockaddr
	fd, errno := sys.Accept(l.fd, &from)
	switch errno {
	case 0:
		c = accepted{on: l, fd: fd}
		if !l.Unix {
			c.peer = from.AddrPort()
		}
		return c, true
	case sys.EMFILE, sys.ENFILE, sys.ENOBUFS, sys.ENOMEM:
		l.acceptor.OnShortage(l, errno)
		l.pause(shortageMs)
	}
	// EAGAIN: another worker was faster. ECONNABORTED and the network's errors, which accept(2) passes on: that client is gone.
	return c, false
}

// OnTimer ends a pause, or lengthens it. See event.Expirer.
func (l *Listener) OnTimer(*event.Timer) {
	if l.state != listenPaused {
		return
	}
	if l.gate != nil {
		l.state = listenShut
		return
	}
	now := l.nowMs()
	if now < l.pausedMs+l.longMs && (l.acceptor.Crowded(l) || !l.acceptor.Room()) {
		l.timers.Arm(&l.timer, now+yieldMs)
		return
	}
	if errno := l.resume(); errno != 0 {
		l.acceptor.OnShortage(l, errno)
		l.timers.Arm(&l.timer, now+shortageMs)
	}
}

func (l *Listener) resume() syscall.Errno {
	token, errno := l.loop.Register(l.fd, sys.EpollIn|sys.EpollExclusive, l)
	if errno == 0 {
		l.token, l.state, l.resumed = token, listenActive, true
	}
	return errno
}

// pause takes the socket out of the loop, where Drain may not find it any more: for longMs, or less when the reason has gone.
func (l *Listener) pause(longMs int64) {
	if l.state == listenActive {
		l.leave(listenPaused)
	}
	l.state = listenPaused
	l.pausedMs, l.longMs = l.nowMs(), longMs
	first := int64(yieldMs)
	if longMs == shortageMs {
		first = shortageMs
	}
	l.timers.Arm(&l.timer, l.pausedMs+first)
}

// leave takes the socket out of the loop.
func (l *Listener) leave(s listenState) {
	l.loop.Forget(l.fd)
	l.loop.Unregister(l.token)
	l.state, l.ready = s, false
}

// drainMax bounds the connections that Drain takes: more than a backlog holds usually.
const drainMax = 4096

// Drain takes the connections that wait in the queue, and closes the listener: if this was the last process that listened on the
// socket, the kernel would reset them.
func (l *Listener) Drain() {
	for range drainMax {
		if l.state == listenClosed || !l.acceptor.Room() || !l.accept() {
			break
		}
	}
	l.Close()
}

// Close stops accepting here and closes this process's descriptor of the socket.
func (l *Listener) Close() {
	switch l.state {
	case listenActive:
		l.leave(listenClosed)
	case listenClosed:
		return
	}
	l.state = listenClosed
	l.timers.Unlink(&l.timer)
	sys.Close(l.fd)
}
