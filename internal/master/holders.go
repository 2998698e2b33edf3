// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"time"

	"weir/internal/ipc"
)

// inquiry asks every worker that drains what still holds it: those of this master directly, those of an old one through it.
type inquiry struct {
	serial int
	owed   map[int]bool  // processes that have not answered
	done   chan struct{} // closed when all have
}

// inquiryPatience is how long an answer to GET /status waits for workers. One that is stopped cannot answer, and what is known of it stands.
const inquiryPatience = 250 * time.Millisecond

// inquire begins an inquiry, in the loop.
func (m *master) inquire() *inquiry {
	m.serial++
	q := &inquiry{serial: m.serial, owed: make(map[int]bool), done: make(chan struct{})}
	m.eachDraining(func(w *worker) {
		if m.tell(w, ipc.Message{Kind: ipc.Report, Serial: q.serial}, 0) == nil {
			q.owed[w.pid] = true
		}
	})
	if p := m.predecessor; p.lives() && !p.undecided() {
		for _, s := range m.strangers() {
			q.owed[s.PID] = true
		}
		if len(q.owed) > 0 {
			p.tell(ipc.Message{Kind: ipc.Report, Serial: q.serial})
		}
	}
	if len(q.owed) == 0 {
		close(q.done)
		return q
	}
	m.inquiries = append(m.inquiries, q)
	return q
}

func (m *master) eachDraining(do func(w *worker)) {
	for _, g := range m.live {
		for _, w := range g.workers {
			if w.state == workerDraining && !w.hungUp {
				do(w)
			}
		}
	}
}

// onHolding notes what holds a worker.
func (m *master) onHolding(w *worker, message ipc.Message) {
	w.holders, w.heldAt = message.Holders, time.Now()
	m.settleInquiry(message.Serial, w.pid)
	if s := m.successor; s != nil && message.Serial == s.asked {
		s.tell(ipc.Message{Kind: ipc.Holding, Serial: s.askedSerial, PID: w.pid, Holders: message.Holders})
	}
}

// onHeldElsewhere notes what an old master says of one of its workers.
func (m *master) onHeldElsewhere(message ipc.Message) {
	p := m.predecessor
	if p.holders == nil {
		p.holders = make(map[int][]ipc.Holder)
	}
	p.holders[message.PID], p.heldAt = message.Holders, time.Now()
	m.settleInquiry(message.Serial, message.PID)
}

// onReport passes the question of a new master on to the workers that drain here.
func (m *master) onReport(serial int) {
	m.serial++
	m.successor.asked, m.successor.askedSerial = m.serial, serial
	m.eachDraining(func(w *worker) { m.tell(w, ipc.Message{Kind: ipc.Report, Serial: m.serial}, 0) })
}

// settleInquiry notes that a process has answered, or has ended.
func (m *master) settleInquiry(serial, pid int) {
	for i, q := range m.inquiries {
		if q.serial != serial {
			continue
		}
		delete(q.owed, pid)
		if len(q.owed) == 0 {
			close(q.done)
			m.inquiries = append(m.inquiries[:i:i], m.inquiries[i+1:]...)
		}
		return
	}
}

// endInquiry forgets an inquiry whose asker does not wait any more, in the loop.
func (m *master) endInquiry(q *inquiry) {
	for i := range m.inquiries {
		if m.inquiries[i] == q {
			m.inquiries = append(m.inquiries[:i:i], m.inquiries[i+1:]...)
			return
		}
	}
}

// askHolders has what holds the draining workers brought up to date. It waits for the loop and the workers, but not for long; a goroutine of the control socket calls it.
func (m *master) askHolders() {
	begun := make(chan *inquiry, 1)
	select {
	case m.inspect <- func() { begun <- m.inquire() }:
	case <-m.left:
		return
	}
	q := <-begun
	select {
	case <-q.done:
		return
	case <-time.After(inquiryPatience):
	case <-m.left:
		return
	}
	select {
	case m.inspect <- func() { m.endInquiry(q) }:
	case <-m.left:
	}
}
