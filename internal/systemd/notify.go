// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package systemd

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"weir/internal/sys"
)

// Notifier tells the service manager how the service is. The nil Notifier is for a service without one: its methods do nothing.
// One goroutine uses it.
type Notifier struct {
	socket   string        // path, or '@' and an abstract name
	watchdog time.Duration // between two beats: half of what the manager allows; 0: it does not want any
	beat     time.Time     // when the next is due
	pending  []string      // datagrams that the manager had no room for, oldest first
	retry    time.Time     // when to try again, while there are some
	giveUp   time.Time     // when pending is dropped
	resigned bool          // another process is the main one: nothing more is said
}

const (
	retryInterval = 50 * time.Millisecond
	giveUpAfter   = time.Minute
	pendingMax    = 64 // datagrams that wait; the oldest is dropped for the next
)

// OpenNotifier reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID from the environment. nil without NOTIFY_SOCKET. An error says which of them
// makes no sense. sd_notify(3), sd_watchdog_enabled(3).
func OpenNotifier() (*Notifier, error) {
	socket := os.Getenv("NOTIFY_SOCKET")
	if socket == "" {
		return nil, nil
	}
	if socket[0] != '/' && socket[0] != '@' || len(socket) < 2 {
		return nil, fmt.Errorf("NOTIFY_SOCKET=%q: a path or an abstract address (@...) is wanted", socket)
	}
	n := &Notifier{socket: socket}
	usec, pid := os.Getenv("WATCHDOG_USEC"), os.Getenv("WATCHDOG_PID")
	if usec == "" || pid != "" && pid != strconv.Itoa(os.Getpid()) { // meant for another process
		return n, nil
	}
	value, err := strconv.ParseInt(usec, 10, 53)
	if err != nil || value <= 0 {
		return nil, fmt.Errorf("WATCHDOG_USEC=%q: a number of microseconds is wanted", usec)
	}
	n.watchdog = time.Duration(value) * time.Microsecond / 2
	n.beat = time.Now()
	return n, nil
}

// Ready says that the service serves: after its start, and after each reload, whatever came of it. status may be empty.
func (n *Notifier) Ready(status string) { n.send("READY=1", statusLine(status)) }

// Started is Ready for a process that has taken the service over from another, or back: it is the main process now.
func (n *Notifier) Started(status string) {
	if n != nil {
		n.resigned = false
	}
	n.send("READY=1", fmt.Sprintf("MAINPID=%d", os.Getpid()), statusLine(status))
}

// Reloading says that a reload has begun. Ready ends it. The time tells the manager which of its requests that answers.
func (n *Notifier) Reloading(status string) {
	n.send("RELOADING=1", fmt.Sprintf("MONOTONIC_USEC=%d", sys.MonotonicUsec()), statusLine(status))
}

// Stopping says that the service is on its way out.
func (n *Notifier) Stopping(status string) { n.send("STOPPING=1", statusLine(status)) }

// MainPID says that another process is the service's main one from now on. The manager believes it only from the present one, which is silent then until Started,
// and must not end while it Owes this: that would be taken for the service's end.
func (n *Notifier) MainPID(pid int) {
	if n == nil {
		return
	}
	n.send(fmt.Sprintf("MAINPID=%d", pid), "")
	n.resigned = true
}

// Owes says whether the manager still has to hear which process is the main one. Beat sees to it, and gives up after a while.
func (n *Notifier) Owes() bool { return n != nil && n.resigned && len(n.pending) > 0 }

// Status gives the line that `systemctl status` shows.
func (n *Notifier) Status(status string) { n.send(statusLine(status), "") }

// Beat tells the watchdog that the service lives, when it is due, and tries again what could not be sent.
func (n *Notifier) Beat(now time.Time) {
	if n == nil {
		return
	}
	if n.beats() && !now.Before(n.beat) {
		n.beat = now.Add(n.watchdog)
		n.send("WATCHDOG=1", "")
	}
	if len(n.pending) > 0 && !now.Before(n.retry) {
		n.flush(now)
	}
}

// Due is when Beat has something to do next; zero: never.
func (n *Notifier) Due() time.Time {
	switch {
	case n == nil:
		return time.Time{}
	case len(n.pending) > 0 && (!n.beats() || n.retry.Before(n.beat)):
		return n.retry
	case n.beats():
		return n.beat
	}
	return time.Time{}
}

// beats says whether the manager wants to hear of this process again and again.
func (n *Notifier) beats() bool { return n.watchdog > 0 && !n.resigned }

// statusLine is a STATUS assignment on one line, of a length that systemd takes; "" for no status.
func statusLine(status string) string {
	const statusMax = 1024
	if status == "" {
		return ""
	}
	status = strings.ReplaceAll(strings.TrimSpace(status), "\n", "; ")
	if len(status) > statusMax {
		status = strings.ToValidUTF8(status[:statusMax], "") + "..."
	}
	return "STATUS=" + status
}

// send sends assignments in one datagram, behind those that wait.
func (n *Notifier) send(lines ...string) {
	if n == nil || n.resigned {
		return
	}
	text := strings.TrimSpace(strings.Join(lines, "\n"))
	if last := len(n.pending) - 1; last >= 0 && supersedes(text, n.pending[last]) {
		n.pending = n.pending[:last]
	}
	if n.pending = append(n.pending, text); len(n.pending) > pendingMax {
		n.pending = n.pending[1:]
	}
	n.flush(time.Now())
}

// supersedes says whether a datagram makes one before it worthless: both say the same one thing.
func supersedes(text, before string) bool {
	key, _, _ := strings.Cut(text, "=")
	keyBefore, _, _ := strings.Cut(before, "=")
	return key == keyBefore && !strings.Contains(text, "\n") && !strings.Contains(before, "\n")
}

// flush sends what waits until the manager has no more room. What it cannot be told at all, because nobody listens, is dropped.
func (n *Notifier) flush(now time.Time) {
	for len(n.pending) > 0 {
		err := sys.SendDatagram(n.socket, []byte(n.pending[0]))
		if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.ENOBUFS) {
			if n.giveUp.IsZero() {
				n.giveUp = now.Add(giveUpAfter)
			}
			if now.Before(n.giveUp) {
				n.retry = now.Add(retryInterval)
				return
			}
			n.pending = n.pending[:1] // it has not read for so long that none of it is news
		}
		n.pending = n.pending[1:]
		n.giveUp = time.Time{}
	}
	n.pending, n.retry = nil, time.Time{}
}
