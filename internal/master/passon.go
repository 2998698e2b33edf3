// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"weir/internal/ipc"
)

// A reload that was asked of a master which has handed over meanwhile: asked during the upgrade, or by one that still knows the old process's number. The new master has read the
// config when it started, which may be before the asker changed it; so it reads it anew, and the asker hears from here how that went.

// passed is a reload that the new master makes.
type passed struct {
	serial int
	askers []asker
}

// errHandedOver says who is to be asked instead.
func (m *master) errHandedOver() error {
	if m.ending == leaving && m.successor != nil {
		return fmt.Errorf("this weir was upgraded: process %d is its master now", m.successor.pid)
	}
	return errLeaving
}

// passReload has the new master reload. Nothing can be passed on when there is none, or another one already follows it.
func (m *master) passReload(askers []asker) {
	s := m.successor
	if m.ending != leaving || s == nil || s.state != successorServing {
		m.answer(askers, m.errHandedOver(), time.Now())
		return
	}
	m.serial++
	if err := s.tell(ipc.Message{Kind: ipc.Reload, Serial: m.serial}); err != nil {
		m.answer(askers, errors.Join(m.errHandedOver(), err), time.Now())
		return
	}
	m.log.Notice("reload: passed on to the new master", zap.Int("master", s.pid))
	s.reloads = append(s.reloads, passed{serial: m.serial, askers: askers})
}

// onReloaded tells those who asked how the new master's reload went.
func (s *successor) onReloaded(message ipc.Message) {
	s.reloads = slices.DeleteFunc(s.reloads, func(p passed) bool {
		if p.serial != message.Serial {
			return false
		}
		tell(p.askers, Outcome{OK: message.Text == "", Error: message.Text, Generation: message.Generation, Workers: message.Workers, TookMs: message.TookMs})
		return true
	})
}

// abandonReloads tells those who asked that the new master has ended.
func (s *successor) abandonReloads() {
	for _, p := range s.reloads {
		tell(p.askers, Outcome{Error: fmt.Sprintf("the new master, process %d, %s", s.pid, s.exit)})
	}
	s.reloads = nil
}

// reloadFor reloads because an old master was asked for it.
func (m *master) reloadFor(serial int) {
	answer := make(chan Outcome, 1)
	m.want(orderReload, answer)
	go func() {
		select {
		case o := <-answer:
			report := func() {
				m.predecessor.tell(ipc.Message{Kind: ipc.Reloaded, Serial: serial, Text: shortened(o.Error), Generation: o.Generation, Workers: o.Workers, TookMs: o.TookMs})
			}
			select {
			case m.inspect <- report:
			case <-m.left:
			}
		case <-m.left:
		}
	}()
}
