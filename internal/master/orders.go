// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"errors"
	"time"

	"go.uber.org/zap"
)

// order is what the master can be asked to do, by a signal, by the control socket, or by a worker.
type order uint8

const (
	orderReap    order = iota // a child has ended
	orderStop                 // leave at once
	orderQuit                 // finish what is in flight, then leave
	orderReload               // read the config, start new workers, drain the old ones
	orderReopen               // open the log files anew
	orderDrain                // drain the workers, keep the master
	orderUpgrade              // start a new binary

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
	for _, a := range askers {
		a <- outcome
	}
}

// drainCurrent drains the workers and keeps the master; a reload brings workers back. The askers hear of it when the
// last worker has left.
func (m *master) drainCurrent(askers []asker) {
	switch {
	case m.ending != staying:
		m.answer(askers, errLeaving, time.Now())
	case m.current == nil:
		m.answer(askers, errors.New("weir is still starting"), time.Now())
	case len(m.current.workers) == 0:
		m.current.become(genDraining)
		m.answer(askers, nil, time.Now())
	default:
		m.log.Notice("workers drain, the master stays: a reload starts new ones")
		m.current.leavers = append(m.current.leavers, askers...)
		m.current.drainAsked = time.Now()
		m.drainGeneration(m.current)
	}
}

// ErrUpgrade is the answer to an order to upgrade.
var ErrUpgrade = errors.New("this version of weir cannot upgrade in place: to run a new binary, weir -s quit and start it")

func (m *master) refuseUpgrade(askers []asker) {
	m.log.Error("upgrade refused", zap.Error(ErrUpgrade))
	m.answer(askers, ErrUpgrade, time.Now())
}
