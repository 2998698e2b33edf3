// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"fmt"
	"strings"
	"time"

	"weir/internal/stats"
	"weir/internal/systemd"
)

// notifier tells the service manager what becomes of this process. Without a manager every call does nothing.
type notifier struct {
	manager  *systemd.Notifier // nil: there is none
	upgraded bool              // this process takes the service over, and has not said so yet
	fault    string            // why the last change failed; "" when it did not
	told     string            // the last status, without the connections
	next     time.Time         // when the number of connections is told again
}

// statusInterval is how often the status line is brought up to date when only the number of connections has changed.
const statusInterval = 10 * time.Second

// openNotifier reads what the environment says about a service manager.
func openNotifier() (notifier, error) {
	manager, err := systemd.OpenNotifier()
	return notifier{manager: manager}, err
}

// notifyReloading says that a reload has begun.
func (m *master) notifyReloading() {
	m.notify.manager.Reloading("reloading")
	m.notify.told = ""
}

// notifySettled says how a start or a reload has gone: err is nil when the new generation serves. After a failed reload the service is as ready
// as it was before, so this is said too, with the reason. A manager that hears of one reload's end while
// another is under way would take it for the other's; that one says it for both.
func (m *master) notifySettled(err error) {
	if m.notify.manager == nil || m.ending != staying || m.current == nil {
		return
	}
	m.notify.fault = ""
	if err != nil {
		m.notify.fault = err.Error()
	}
	if m.change != nil {
		return
	}
	text := m.statusText()
	m.notify.told, m.notify.next = text, time.Now().Add(statusInterval)
	text += m.connectionsText()
	if m.notify.upgraded {
		m.notify.upgraded = false
		m.notify.manager.Started(text)
		return
	}
	m.notify.manager.Ready(text)
}

// notifyStopping says that the process is on its way out.
func (m *master) notifyStopping() {
	text := m.statusText()
	m.notify.manager.Stopping(text)
	m.notify.told = text
}

// onTakeover makes another process the service's main one, when this one is about to leave. This one is silent from then on: the
// manager would not listen.
func (m *master) onTakeover(pid int) {
	m.notify.manager.MainPID(pid)
}

// onTakenBack makes this process the main one again, because the other has ended. systemd may have begun to restart the service on
// account of that end; a manager that waits believes it.
func (m *master) onTakenBack() {
	m.notify.manager.Started(m.statusText() + m.connectionsText())
}

// notifyBeat keeps the watchdog quiet and the status line true. It runs once in a turn of the loop, so that a loop that stands
// still is noticed.
func (m *master) notifyBeat(now time.Time) {
	n := &m.notify
	if n.manager == nil {
		return
	}
	if m.current != nil && m.change == nil {
		if text := m.statusText(); text != n.told || !now.Before(n.next) {
			n.told, n.next = text, now.Add(statusInterval)
			n.manager.Status(text + m.connectionsText())
		}
	}
	n.manager.Beat(now)
}

// notifyDue is when notifyBeat has something to do next; zero: never.
func (m *master) notifyDue() time.Time {
	due := m.notify.manager.Due()
	if next := m.notify.next; !next.IsZero() && m.notify.manager != nil && (due.IsZero() || next.Before(due)) {
		return next
	}
	return due
}

// statusText is what `systemctl status` shows, but for the connections.
func (m *master) statusText() string {
	var b strings.Builder
	if m.failure != nil {
		fmt.Fprintf(&b, "start failed: %v", m.failure)
		return b.String()
	}
	if m.notify.fault != "" {
		fmt.Fprintf(&b, "reload failed: %s; generation before goes on: ", m.notify.fault)
	}
	b.WriteString(m.state())
	if m.current == nil {
		return b.String()
	}
	fmt.Fprintf(&b, ", generation %d, workers %d", m.current.number, m.current.ready())
	draining := 0
	for _, g := range m.live {
		if g != m.current && g.served {
			draining++
		}
	}
	if draining > 0 {
		fmt.Fprintf(&b, ", older generations draining %d", draining)
	}
	return b.String()
}

func (m *master) connectionsText() string {
	return fmt.Sprintf(", connections %d", m.stats.Sum()[stats.Active])
}
