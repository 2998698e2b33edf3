// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package ipc

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"weir/internal/sys"
)

// Kind says what a message is.
type Kind string

// Messages from a worker to the master.
const (
	Ready    Kind = "ready"    // serves; Build is its version
	Failed   Kind = "failed"   // cannot serve and exits; Text says why
	Draining Kind = "draining" // accepts no more: its copies of the listeners are closed
	Drained  Kind = "drained"  // nothing is left to do, exits
	Reopened Kind = "reopened" // writes to the new files; Serial is that of the Reopen
	Rotate   Kind = "rotate"   // got SIGUSR1: asks the master to reopen the logs
	Damaged  Kind = "damaged"  // an operation has met a damaged zone: asks the master to check it. Once for each zone and second is enough
)

// Messages from the master to a worker.
const (
	Drain  Kind = "drain"  // finish what is in flight, within worker_shutdown_timeout, and exit
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
}

// ErrAgain says that a call would have to wait: there is no message, or the peer's queue is full.
var ErrAgain = errors.New("try again")

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
// it until ErrAgain. Any other error means a broken peer; the channel is still in step with it,
// because messages keep their borders.
func (c *Channel) Recv() (Message, []int, error) {
	if c.receive == nil {
		c.receive = make([]byte, MessageBytesMax)
	}
	n, fds, errno := sys.RecvRights(c.fd, c.receive)
	switch {
	case errno == sys.EAGAIN:
		return Message{}, nil, ErrAgain
	case errno != 0:
		return Message{}, nil, fmt.Errorf("recv(channel): %w", errno)
	case n == 0:
		return Message{}, nil, io.EOF
	}
	var m Message
	if err := json.Unmarshal(c.receive[:n], &m); err != nil {
		closeAll(fds)
		return Message{}, nil, fmt.Errorf("recv(channel): %w", err)
	}
	if m.Kind == Reopen && len(fds) != len(m.Paths) {
		closeAll(fds)
		return Message{}, nil, fmt.Errorf("recv(reopen): %d paths with %d descriptors", len(m.Paths), len(fds))
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
