// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir/internal/ipc"
)

// What two masters have together belongs to the one that goes on: files that both know are not removed by one that leaves while the other lives.

// closeSockets closes the listening sockets, and removes the files of unix sockets that no other master listens on.
func (m *master) closeSockets() {
	for _, s := range m.sockets {
		if m.isShared(s) {
			s.file = ownFile{}
		}
	}
	m.sockets.close(nil)
	m.sockets = nil
}

// isShared says whether another master listens on the same socket.
func (m *master) isShared(s *socket) bool {
	if m.beside() {
		return m.successor.state == successorTaking || slices.Contains(m.successor.keys, ipc.ListenerKey(s.protocol, s.address))
	}
	return m.predecessor.lives() && slices.ContainsFunc(m.predecessor.manifest.Listeners, func(l ipc.Listener) bool {
		return l.Protocol == s.protocol && l.Address == s.address
	})
}

// closeControl closes the control socket, and removes its file if no other master goes on with it.
func (m *master) closeControl() {
	p := m.predecessor
	if m.beside() || m.control != nil && p.lives() && p.manifest.Succession.ControlPath == m.control.path() {
		m.control.leave()
		return
	}
	m.control.close()
}

// closePid gives the pid file up, for another master to have its name.
func (m *master) closePid() {
	p := m.predecessor
	switch {
	case m.beside():
		m.pid.leave()
	case p.lives() && p.taken && p.manifest.Succession.PidPath == m.pid.path: // it takes the name back
		m.pid.unlock()
	default:
		m.pid.remove()
	}
}

// answering is the server of the control socket that may still have answers to give.
func (m *master) answering() *controlServer {
	switch {
	case m.successor != nil && m.successor.server != nil:
		return m.successor.server
	case m.control == nil:
		return nil
	}
	return m.control.server
}

// oldPatience is how long a master that stops at once waits for an old one that was told to do the same.
const oldPatience = 2 * stopGrace

// awaitsOld says whether the end has to wait for an old master that drains: the service ends with both, and the last one takes the files away.
func (m *master) awaitsOld() bool {
	p := m.predecessor
	if !p.lives() || !p.leaving || m.ending < quitting {
		return false
	}
	return m.ending == quitting || time.Since(m.endBegan) < oldPatience
}

// stopOld tells an old master that drains to stop at once, if this one does: the service ends with both.
func (m *master) stopOld() {
	if p := m.predecessor; m.ending == stopping && p.lives() && p.leaving {
		p.tell(ipc.Message{Kind: ipc.Stop})
	}
}

// owesAnswers says whether a master whose service goes on in another one waits with its end for those who have asked it something.
func (m *master) owesAnswers() bool {
	if m.ending != leaving || !m.answering().busy() {
		return false
	}
	if m.successor != nil && len(m.successor.reloads) > 0 { // each is decided within the new master's reload_timeout
		return true
	}
	if m.owedSince.IsZero() {
		m.owedSince = time.Now()
	}
	return time.Since(m.owedSince) < answerPatience
}

// dueOfMasters says when something is due that concerns another master.
func (m *master) dueOfMasters(sooner func(time.Time)) {
	if s := m.successor; s != nil {
		sooner(s.hold)
		sooner(s.deadline)
		if s.askers != nil && s.state == successorServing {
			sooner(m.endBegan.Add(settleLimit))
		}
	}
	if end := m.endBegan.Add(oldPatience); m.ending == stopping && time.Now().Before(end) {
		sooner(end)
	}
	if !m.owedSince.IsZero() {
		sooner(time.Now().Add(answerInterval))
	}
	if p := m.predecessor; p != nil && p.gone && len(p.generations) > 0 {
		sooner(time.Now().Add(lookInterval))
	}
}

// at lets a test stop the process at a named point.
func (m *master) at(point string) {
	if m.opts.Pause != nil {
		m.opts.Pause(point)
	}
}

// atChange is at for points that a start, a reload and the start of a new master have in common.
func (m *master) atChange(point string) {
	switch {
	case m.predecessor.undecided():
		m.at("new." + point)
	case m.current == nil:
		m.at("start." + point)
	default:
		m.at("reload." + point)
	}
}

// descendants are the processes that a process has started, and those that they have.
func descendants(root int) []int {
	parents := make(map[int]int)
	names, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended meanwhile
		}
		at := strings.LastIndex(string(text), ") ") // before it stands the program's name, which may hold anything
		fields := strings.Fields(string(text[max(at, 0):]))
		pid, err := strconv.Atoi(strings.Split(name, "/")[2])
		if err != nil || len(fields) < 3 {
			continue
		}
		parents[pid], _ = strconv.Atoi(fields[2])
	}
	var found []int
	for pid := range parents {
		for up, steps := parents[pid], 0; up > 1 && steps < len(parents); up, steps = parents[up], steps+1 {
			if up == root {
				found = append(found, pid)
				break
			}
		}
	}
	return found
}
