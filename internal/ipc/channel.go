// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package ipc

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"syscall"

	"weir/internal/sys"
)

// Kind says what a message is.
type Kind string

// Messages from a worker to the master.
const (
	Ready    Kind = "ready"    // serves; Build is its version
	Failed   Kind = "failed"   // cannot serve and exits; Text says why
	Draining Kind = "draining" // accepts no more: its copies of the listeners are closed. LeaveMs says how long it may take
	Drained  Kind = "drained"  // nothing is left to do, exits
	Reopened Kind = "reopened" // writes to the new files; Serial is that of the Reopen
	Rotate   Kind = "rotate"   // got SIGUSR1: asks the master to reopen the logs
	Call     Kind = "call"     // wakes the worker in the slot Serial: a place that one of its requests waited for is there. From workers that cannot do it themselves
	Damaged  Kind = "damaged"  // an operation has met a damaged zone: asks the master to check it. Once for each zone and second is enough
	Holding  Kind = "holding"  // the answer to Report, with its Serial: Holders
)

// Messages from the master to a worker.
const (
	Drain  Kind = "drain"  // finish what is in flight, within worker_shutdown_timeout, and exit. Again: HandOver and Listeners have changed
	Cut    Kind = "cut"    // to one that drains: its time is up, as if worker_shutdown_timeout had passed
	Report Kind = "report" // say what is held: answer Holding with the same Serial
	Stop   Kind = "stop"   // exit at once
	Reopen Kind = "reopen" // Paths and as many descriptors: write there from now on; answer Reopened with the same Serial
	Forget Kind = "forget" // take no more places in the older zone with this Serial; those taken are still given back
)

// Limits of one message.
const (
	MessageBytesMax       = 64 << 10
	MessageDescriptorsMax = sys.RightsMax
)

// Message is what the channel carries, beside descriptors. Only the fields that its Kind names are set.
type Message struct {
	Kind   Kind     `json:"kind"`
	Serial int      `json:"serial,omitempty"`
	Build  string   `json:"build,omitempty"`
	Text   string   `json:"text,omitempty"`
	Paths  []string `json:"paths,omitempty"` // Reopen: one for each descriptor that comes along, in their order

	// Drain: somebody newer takes idle connections from the hand-over queue. Listeners are the addresses (ListenerKey) that the newest generation
	// has; with HandOver and none of them, all are taken to be there.
	HandOver  bool     `json:"hand_over,omitempty"`
	Listeners []string `json:"listeners,omitempty"`

	LeaveMs int64    `json:"leave_ms,omitempty"` // Draining: the worker is gone after so many milliseconds at the latest; 0: no bound
	Holders []Holder `json:"holders,omitempty"`  // Holding: the most numerous first, at most HoldersMax

	Leaves bool `json:"leaves,omitempty"` // TakeOver: the old master leaves as soon as the new one serves, without another word

	PID int `json:"pid,omitempty"` // Holding between masters: the worker

	// Ready, of a new master: its first generation, and how many workers of it serve. Reloaded: the generation that serves.
	Generation int   `json:"generation,omitempty"`
	Workers    int   `json:"workers,omitempty"`
	TookMs     int64 `json:"took_ms,omitempty"`
}

// HoldersMax bounds the list of a Holding message.
const HoldersMax = 64

// Holder is a group of connections that keep a worker from leaving.
type Holder struct {
	What     string `json:"what"`     // "request", "tunnel", "idle" or "hand-over"
	Server   string `json:"server"`   // the virtual server's name, or the address it listens on
	Location string `json:"location"` // as the config has it; empty: none chosen yet
	Count    int    `json:"count"`
	OldestMs int64  `json:"oldest_ms"` // how long the oldest of them has been there
}

// ErrAgain says that a call would have to wait: there is no message, or the peer's queue is full.
var ErrAgain = errors.New("try again")

// ErrDropped says that a message came that cannot be used, or whose descriptors this process cannot have because it has as many as it may.
var ErrDropped = errors.New("a message is lost")

// Channel is one end of the connection between the master and a worker. It never blocks. It may be
// registered with epoll for reading through FD. It is not safe for several goroutines, except that one may call
// Send while another calls Recv.
type Channel struct {
	fd      int
	receive []byte // made at the first Recv
}

// OpenPair makes a channel and returns both ends: the master's, and the descriptor to pass to a worker, which
// the caller closes when it has been passed. Both are close-on-exec.
func OpenPair() (*Channel, int, error) {
	a, b, err := sys.SeqpacketPair()
	if err != nil {
		return nil, -1, err
	}
	return NewChannel(a), b, nil
}

// NewChannel takes over a descriptor made by OpenPair.
func NewChannel(fd int) *Channel {
	return &Channel{fd: fd}
}

// FD is the channel's descriptor, for epoll. It stays the channel's.
func (c *Channel) FD() int { return c.fd }

// Send sends one message with copies of fds, which stay the caller's. ErrAgain: the peer does not read, nothing
// was sent. io.EOF: the peer is gone.
func (c *Channel) Send(m Message, fds ...int) error {
	if len(fds) > MessageDescriptorsMax {
		return fmt.Errorf("send(%s): %d descriptors, at most %d fit", m.Kind, len(fds), MessageDescriptorsMax)
	}
	text, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("send(%s): %w", m.Kind, err)
	}
	if len(text) > MessageBytesMax {
		return fmt.Errorf("send(%s): %d bytes, at most %d fit", m.Kind, len(text), MessageBytesMax)
	}
	switch errno := sys.SendRights(c.fd, text, fds); errno {
	case 0:
		return nil
	case sys.EAGAIN:
		return ErrAgain
	case sys.EPIPE, sys.ECONNRESET:
		return io.EOF
	default:
		return fmt.Errorf("send(%s): %w", m.Kind, errno)
	}
}

// Recv takes the next message and the descriptors that came with it, which are the caller's to close. ErrAgain:
// there is none now. io.EOF: the peer is gone and all it sent has been taken. With edge-triggered epoll, call
// it until ErrAgain. ErrDropped: the channel is still in step with the peer, because messages keep their borders.
func (c *Channel) Recv() (Message, []int, error) {
	if c.receive == nil {
		c.receive = make([]byte, MessageBytesMax)
	}
	n, fds, errno := sys.RecvRights(c.fd, c.receive)
	switch {
	case errno == sys.EAGAIN:
		return Message{}, nil, ErrAgain
	case errno == syscall.EMSGSIZE:
		return Message{}, nil, fmt.Errorf("recv(channel): %w: %w", ErrDropped, errno)
	case errno != 0:
		return Message{}, nil, fmt.Errorf("recv(channel): %w", errno)
	case n == 0:
		return Message{}, nil, io.EOF
	}
	var m Message
	if err := json.Unmarshal(c.receive[:n], &m); err != nil {
		closeAll(fds)
		return Message{}, nil, fmt.Errorf("recv(channel): %w: %w", ErrDropped, err)
	}
	if m.Kind == Reopen && len(fds) != len(m.Paths) {
		closeAll(fds)
		return Message{}, nil, fmt.Errorf("recv(reopen): %w: %d paths with %d descriptors", ErrDropped, len(m.Paths), len(fds))
	}
	return m, fds, nil
}

// Close closes the descriptor: the peer reads end of file.
func (c *Channel) Close() {
	sys.Close(c.fd)
	c.fd = -1
}

func closeAll(fds []int) {
	for _, fd := range fds {
		sys.Close(fd)
	}
}
