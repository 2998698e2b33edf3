// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package resolver

import (
	"encoding/binary"

	"weir/internal/sys"
)

// messageMax is how long a message can be over TCP. RFC 1035 section 4.2.2.
const messageMax = 1<<16 - 1

// stream is the state of a question over TCP: two bytes of length go before each message.
type stream struct {
	on  bool
	out []byte // not yet written
	in  []byte // what has come
}

// openStream asks the same server over TCP.
func (q *query) openStream() {
	q.closeSocket()
	fd, errno := sys.ConnectStart(&q.r.servers[q.server], nil)
	if fd < 0 || errno != 0 && errno != sys.EINPROGRESS {
		q.onRefused(ErrTimeout)
		return
	}
	if !q.register(fd) {
		return
	}
	q.stream = stream{on: true, out: append(binary.BigEndian.AppendUint16(nil, uint16(len(q.message))), q.message...)}
	q.r.timers.Arm(&q.timer, min(q.r.clock.Ms()+attemptMaxMs, q.deadline))
}

// runStream writes what is left of the question and reads what there is of the answer.
func (q *query) runStream() {
	s := &q.stream
	for len(s.out) > 0 {
		n, errno := sys.Write(q.fd, s.out)
		if errno == sys.EAGAIN || errno == sys.ENOTCONN {
			return
		}
		if errno != 0 {
			q.onRefused(ErrTimeout)
			return
		}
		s.out = s.out[n:]
	}
	for {
		n, errno := sys.Read(q.fd, q.r.buf[:])
		if errno == sys.EAGAIN {
			return
		}
		if errno != 0 || n == 0 {
			q.onRefused(ErrTimeout)
			return
		}
		s.in = append(s.in, q.r.buf[:n]...)
		if len(s.in) < 2 {
			continue
		}
		length := int(binary.BigEndian.Uint16(s.in))
		if len(s.in) < 2+length {
			continue
		}
		a, err := parseAnswer(s.in[2:2+length], q.id, q.name, q.kind)
		if err == errIgnored {
			err = ErrServerFailure
		}
		q.onAnswer(a, err)
		return
	}
}
