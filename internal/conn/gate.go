// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conn

import (
	"syscall"

	"weir/internal/event"
	"weir/internal/shmtx"
	"weir/internal/sys"
)

// Gate is nginx's accept_mutex: of the workers that share listening sockets, only the one that holds a lock in shared memory has them in its loop, so that a
// connection wakes that one and no other. It is asked by the loop around every wait (event.Gate):
//
//	Enter   tries to get the lock. With it, the sockets are put into the loop, or stay there; without it they are taken out, and the loop
//	        sleeps no longer than accept_mutex_delay before it tries again
//	        ... the loop waits, with the lock ...
//	Leave   accepts one connection from each socket that has some, gives the lock back, and only then hands the connections on
//
// So the lock is never held while anything is done for a client, no other lock is taken with it, and the worker that is busy with what it got leaves the
// sockets to the others. As with nginx it is chance who of the busy workers gets the lock; a worker most of whose places are taken leaves it to the others for a
// while. When the holder is killed, the kernel passes the lock on (package shmtx) to whoever tries next; nobody sleeps on it.
type Gate struct {
	mutex     *shmtx.Mutex
	delayMs   int
	loop      *event.Loop
	listeners []*Listener
	held      bool       // between Enter and Leave
	taken     []accepted // by Leave; kept for its memory
	yieldedMs int64      // when this worker began to leave the lock to others; 0: it does not
}

// NewGate makes a gate without listeners. delayMs is accept_mutex_delay. The mutex stays the caller's, and nothing else may use it.
func NewGate(mutex *shmtx.Mutex, delayMs int, loop *event.Loop) *Gate {
	return &Gate{mutex: mutex, delayMs: delayMs, loop: loop}
}

// NewListener is as the function of that name, for a socket behind the gate.
func (g *Gate) NewListener(id, fd int, unix bool, timers *event.Timers, nowMs func() int64, a Acceptor) *Listener {
	l := makeListener(id, fd, unix, g.loop, timers, nowMs, a)
	l.gate, l.state = g, listenShut
	g.listeners = append(g.listeners, l)
	return l
}

// Enter tries to open the gate. See event.Gate.
func (g *Gate) Enter() (mostMs int) {
	l := g.anyOpen()
	if l == nil {
		return -1
	}
	if forMs := g.yields(l); forMs > 0 {
		g.shut()
		return forMs
	}
	if g.mutex.TryLock() == nil {
		g.shut()
		return g.delayMs
	}
	g.held = true
	if !g.open() {
		g.unlock() // all of them pause: let the others have them
	}
	return -1
}

// Leave accepts, and lets others have the lock. See event.Gate.
func (g *Gate) Leave() {
	if !g.held {
		return
	}
	g.taken = g.taken[:0]
	for _, l := range g.listeners {
		if !l.ready {
			continue
		}
		l.ready = false
		if !l.acceptor.Room() {
			l.pause(yieldMaxMs)
		} else if c, ok := l.take(); ok {
			g.taken = append(g.taken, c)
		}
	}
	g.unlock()
	for _, c := range g.taken {
		c.on.acceptor.OnAccept(c.on, c.fd, c.peer)
	}
}

func (g *Gate) unlock() {
	g.held = false
	g.mutex.Unlock()
}

// anyOpen is a listener that has not been closed, nil when there is none.
func (g *Gate) anyOpen() *Listener {
	for _, l := range g.listeners {
		if l.state != listenClosed {
			return l
		}
	}
	return nil
}

// yields says for how long this worker leaves the lock to the others because its places run out. After accept_mutex_delay, in which each of them has tried
// to get it, it tries again.
func (g *Gate) yields(l *Listener) (forMs int) {
	now := l.nowMs()
	switch {
	case !l.acceptor.Loaded():
		g.yieldedMs = 0
	case g.yieldedMs == 0:
		g.yieldedMs = now
		return g.delayMs
	case now < g.yieldedMs+int64(g.delayMs):
		return int(g.yieldedMs + int64(g.delayMs) - now)
	default:
		g.yieldedMs = 0
	}
	return 0
}

// open puts the sockets into the loop that are not in it, and says whether any is.
func (g *Gate) open() bool {
	any := false
	for _, l := range g.listeners {
		if l.state == listenShut {
			l.open()
		}
		any = any || l.state == listenActive
	}
	return any
}

// shut takes the sockets out of the loop.
func (g *Gate) shut() {
	for _, l := range g.listeners {
		if l.state == listenActive {
			l.leave(listenShut)
		}
	}
}

// open puts a socket behind a gate into the loop.
func (l *Listener) open() {
	token, errno := l.loop.Register(l.fd, sys.EpollIn, l)
	if errno != 0 {
		l.shortage(errno)
		return
	}
	l.token, l.state, l.ready = token, listenActive, false
}

// shortage pauses a socket that is not in the loop, because the system refused to put it there.
func (l *Listener) shortage(errno syscall.Errno) {
	l.acceptor.OnShortage(l, errno)
	l.state = listenPaused
	l.timers.Arm(&l.timer, l.nowMs()+shortageMs)
}
