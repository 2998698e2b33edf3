// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"errors"
	"time"

	"weir/internal/ipc"
)

// order is what the master can be asked to do, by a signal, by the control socket, or by a worker.
type order uint8

const (
	orderReap   order = iota // a child has ended
	orderStop                // leave at once
	orderQuit                // finish what is in flight, then leave
	orderReload              // read the config, start new workers, drain the old ones
	orderReopen              // open the log files anew
	orderDrain               // drain the workers, keep the master

	orderUpgrade      // start a new binary; this master leaves when the new one serves
	orderUpgradeReset // the same, with new zones in place of those that the new one does not understand
	orderBeside       // start a new binary; an operator decides what becomes of this master

	orders
)

// request is an order with the place for its answer.
type request struct {
	order order
	asker asker
}

// asker gets one Outcome; the channel has room for it, so that the loop never waits for an asker who has gone away.
type asker chan<- Outcome

// Outcome is the answer to an order, as the control socket gives it.
type Outcome struct {
	OK         bool   `json:"ok"`
	Generation int    `json:"generation,omitempty"` // that serves, or served last
	Workers    int    `json:"workers"`              // of it that are ready
	Master     int    `json:"master,omitempty"`     // of an upgrade: the process of the new master, whose the generation and its workers are
	TookMs     int64  `json:"took_ms"`
	Error      string `json:"error,omitempty"`
}

// want sets the flag of an order; whoever asks joins those who asked before.
func (m *master) want(o order, a asker) {
	m.wanted[o] = true
	if a != nil {
		m.askers[o] = append(m.askers[o], a)
	}
}

// take clears the flag of an order before it is acted on, so that an order that comes meanwhile counts again.
func (m *master) take(o order) (askers []asker, ok bool) {
	if !m.wanted[o] {
		return nil, false
	}
	m.wanted[o] = false
	askers, m.askers[o] = m.askers[o], nil
	return askers, true
}

// takeIf is take when something holds; an order that has to wait keeps its flag.
func (m *master) takeIf(holds bool, o order) (askers []asker, ok bool) {
	if !holds {
		return nil, false
	}
	return m.take(o)
}

// waiting says whether an order could be acted on that had to wait for what has ended in this turn.
func (m *master) waiting() bool {
	return m.wanted[orderReload] && m.mayChange() || m.wanted[orderReopen] && m.rotation == nil ||
		m.change == nil && (m.wanted[orderUpgrade] || m.wanted[orderUpgradeReset] || m.wanted[orderBeside])
}

// answer tells everybody who asked how it went; err is nil when it went well.
func (m *master) answer(askers []asker, err error, began time.Time) {
	if len(askers) == 0 {
		return
	}
	outcome := Outcome{OK: err == nil, TookMs: time.Since(began).Milliseconds()}
	if m.current != nil {
		outcome.Generation = m.current.number
		outcome.Workers = m.current.ready()
	}
	if err != nil {
		outcome.Error = err.Error()
	}
	tell(askers, outcome)
}

func tell(askers []asker, outcome Outcome) {
	for _, a := range askers {
		a <- outcome
	}
}

// drainCurrent drains the workers and keeps the master; a reload brings workers back. The askers hear of it when the
// last worker has left.
func (m *master) drainCurrent(askers []asker) {
	m.takeTheWheel()
	switch {
	case m.ending != staying:
		m.answer(askers, m.errHandedOver(), time.Now())
	case m.current == nil:
		m.answer(askers, errors.New("weir is still starting"), time.Now())
	case len(m.current.workers) == 0:
		m.current.become(genDraining)
		m.withdrawTakers()
		m.answer(askers, nil, time.Now())
	default:
		m.log.Notice("workers drain, the master stays: a reload starts new ones")
		m.current.leavers = append(m.current.leavers, askers...)
		m.current.drainAsked = time.Now()
		m.drainGeneration(m.current)
		m.withdrawTakers()
	}
}

// withdrawTakers tells the workers that drain already, of older masters too, that the newest take no connections from them any more.
func (m *master) withdrawTakers() {
	m.redrain()
	m.predecessor.tell(ipc.Message{Kind: ipc.Withdrawn})
}
