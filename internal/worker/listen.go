// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package worker

import (
	"fmt"
	"net/netip"
	"syscall"

	"go.uber.org/zap"

	"weir/internal/conn"
	"weir/internal/ipc"
	"weir/internal/logfile"
)

// listen puts the inherited sockets into the loop. Those that accept for another address of the same port (Via) are found
// by the connection's local address.
func (w *worker) listen() error {
	for i := range w.config.Listeners {
		c := &w.config.Listeners[i]
		if c.Via != i {
			continue
		}
		protocol, address := ipc.AddressKey(c.Address.IP, c.Address.Path)
		sockets := w.manifest.ListenersAt(protocol, address)
		if len(sockets) == 0 {
			return fmt.Errorf("manifest: no socket for %s %s", protocol, address)
		}
		for _, s := range sockets {
			if w.gate != nil && !s.ReusePort {
				w.listeners = append(w.listeners, w.gate.NewListener(i, s.FD, protocol == "unix", &w.timers, w.clock.Ms, w))
				continue
			}
			l, errno := conn.NewListener(i, s.FD, protocol == "unix", w.loop, &w.timers, w.clock.Ms, w)
			if errno != 0 {
				return fmt.Errorf("epoll_ctl(listener %s): %w", address, errno)
			}
			l.Own = s.ReusePort
			w.listeners = append(w.listeners, l)
		}
	}
	return nil
}

// joinQueue puts the hand-over queue into the loop, if there is one.
func (w *worker) joinQueue() error {
	m := w.manifest
	if m.HandOverSend == 0 || m.HandOverReceive == 0 {
		return nil
	}
	for i := range w.config.Listeners {
		protocol, address := ipc.AddressKey(w.config.Listeners[i].Address.IP, w.config.Listeners[i].Address.Path)
		w.keys = append(w.keys, ipc.ListenerKey(protocol, address))
	}
	w.giver.w, w.giver.queue = w, ipc.NewQueue(m.HandOverSend)
	w.giver.timer.Init(&w.giver)
	return w.taker.start(w, m.HandOverReceive)
}

// OnAccept takes a client. See conn.Acceptor.
func (w *worker) OnAccept(l *conn.Listener, fd int, peer netip.AddrPort) {
	w.engine.OnAccept(l, fd, peer)
}

// OnShortage says that the system has run out of something. See conn.Acceptor.
func (w *worker) OnShortage(_ *conn.Listener, errno syscall.Errno) {
	w.log.Limited("accept", logfile.LevelCrit, "accept failed, pausing", zap.Error(errno))
}

// crowdSlack is how many connections more than its share a worker may have before it leaves new ones to others, besides a
// sixteenth of the share.
const crowdSlack = 2

// Crowded says whether others should have the next client. See conn.Acceptor.
func (w *worker) Crowded(l *conn.Listener) bool {
	return !l.Own && w.crowded()
}

// crowded compares this worker's clients with the mean of its generation.
func (w *worker) crowded() bool {
	if w.manifest.Workers < 2 {
		return false
	}
	total := uint64(0)
	for slot := range w.segment.Slots() {
		total += w.segment.Slot(slot).Active.Load()
	}
	share := total / uint64(w.manifest.Workers)
	return w.stats.Active.Load() > share+share/16+crowdSlack
}

// loadedShare is the part of the table that is free while a worker still competes for accept_mutex: nginx's.
const loadedShare = 8

// Loaded says whether the table is nearly full. See conn.Acceptor.
func (w *worker) Loaded() bool { return w.table.Size()-w.table.Used() < w.table.Size()/loadedShare }

// roomShare is the part of the table that is kept for connections to origins: one in so many.
const roomShare = 16

// Room keeps a part of the table free for connections to origins, at the cost of clients that are idle. See conn.Acceptor.
func (w *worker) Room() bool {
	if w.roomy() || w.engine.MakeRoom() {
		return true
	}
	w.log.Limited("connections", logfile.LevelAlert, "worker_connections are not enough", zap.Int("worker_connections", w.table.Size()))
	return false
}

// roomy says whether there is room for another client without closing anything.
func (w *worker) roomy() bool { return w.table.Size()-w.table.Used() > w.table.Size()/roomShare }
