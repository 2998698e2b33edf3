// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package ipc

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"

	"weir/internal/sys"
)

// Connection is what the next worker has to know of a client's connection that it takes over. It travels with the socket, and, when there are
// Places, with one end of a SOCK_SEQPACKET pair behind it, on which the taker says what it has taken: see Taken.
type Connection struct {
	Listener string         `json:"listener"`          // ListenerKey of the socket that accepted it
	Peer     netip.AddrPort `json:"peer"`              // the client; not valid for a unix socket
	Serial   uint64         `json:"serial"`            // $connection
	Requests uint32         `json:"requests"`          // served so far: keepalive_requests counts on
	AgeMs    int64          `json:"age_ms"`            // since it was accepted: keepalive_time counts on
	IdleMs   int64          `json:"idle_ms"`           // how long it may still be silent
	Proxied  []byte         `json:"proxied,omitempty"` // the PROXY protocol's header that it began with; empty: none has come
	Worker   Incarnation    `json:"worker"`            // who sends it
	Places   []Place        `json:"places,omitempty"`  // under the limits of its listening address, in Worker's slot
}

// Incarnation is one process in a worker slot: the slot's next worker is another one.
type Incarnation struct {
	Slot       int `json:"slot"`
	Generation int `json:"generation"`
	PID        int `json:"pid"`
}

// Place is a place that a connection holds in a limit zone. The zone is named by the number of its memory file's inode, which is the same in
// all processes, over upgrades too.
type Place struct {
	Zone  uint64 `json:"zone"`
	Share uint32 `json:"share"`
	Hash  uint32 `json:"hash"`
	Epoch uint32 `json:"epoch"`
}

// PlacesMax is how many places a connection can be handed over with: as many as Taken has bits.
const PlacesMax = 64

// Taken says which of a connection's places now count for the taker: bit i is Places[i]. The sender gives the others back.
type Taken uint64

// handOverBytesMax bounds one message of the queue.
const handOverBytesMax = 16 << 10

// Queue is one end of the hand-over queue. It never blocks. Several processes share each end; a message reaches exactly one of those that read.
type Queue struct {
	fd      int
	receive []byte // made at the first Recv
}

// NewQueue uses a descriptor of the manifest.
func NewQueue(fd int) *Queue { return &Queue{fd: fd} }

// FD is the queue's descriptor, for epoll.
func (q *Queue) FD() int { return q.fd }

// Send puts a connection into the queue with copies of fds, which stay the caller's. ErrAgain: the queue is full. io.EOF: nobody can read it any more.
func (q *Queue) Send(c *Connection, fds ...int) error {
	if len(c.Places) > PlacesMax {
		return fmt.Errorf("send(connection): %d places, at most %d fit", len(c.Places), PlacesMax)
	}
	text, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("send(connection): %w", err)
	}
	switch errno := sys.SendRights(q.fd, text, fds); errno {
	case 0:
		return nil
	case sys.EAGAIN, sys.ENOBUFS, sys.ENOMEM, sys.ETOOMANYREFS:
		return ErrAgain
	case sys.EPIPE, sys.ECONNRESET:
		return io.EOF
	default:
		return fmt.Errorf("send(connection): %w", errno)
	}
}

// errNoSocket: a message of the queue that is not a connection.
var errNoSocket = errors.New("recv(connection): not as many descriptors as it says")

// Recv takes a connection out of the queue, with its descriptors: the socket, and, when it has places, where to say what was taken. They are the
// caller's to close. ErrAgain: there is none now.
func (q *Queue) Recv() (*Connection, []int, error) {
	if q.receive == nil {
		q.receive = make([]byte, handOverBytesMax)
	}
	n, fds, errno := sys.RecvRights(q.fd, q.receive)
	switch {
	case errno == sys.EAGAIN:
		return nil, nil, ErrAgain
	case errno != 0:
		return nil, nil, fmt.Errorf("recv(connection): %w", errno)
	case n == 0:
		return nil, nil, io.EOF
	}
	c := new(Connection)
	err := json.Unmarshal(q.receive[:n], c)
	wanted := 1
	if len(c.Places) > 0 {
		wanted = 2
	}
	if err == nil && (len(fds) != wanted || len(c.Places) > PlacesMax) {
		err = errNoSocket
	}
	if err != nil {
		closeAll(fds)
		return nil, nil, err
	}
	return c, fds, nil
}
