// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package resolver

import (
	"math/rand/v2"

	"golang.org/x/net/dns/dnsmessage"

	"weir/internal/event"
	"weir/internal/sys"
)

// attemptMs is how long a name server has for its answer before the next one is asked; the longer the more have been asked in vain.
const (
	attemptMs    = 1000
	attemptMaxMs = 5000
	hurryMs      = 2500 // how much longer the other one of A and AAAA is waited for when one has been answered
)

// query is one question on its way.
type query struct {
	r     *Resolver
	name  string // with a dot at its end
	kind  dnsmessage.Type
	tell  func(answer, error) // called once, when it ends
	next  *query              // waits for its turn too
	depth int                 // aliases asked for so far
	then  *query              // asks for what its aliases have led to

	id       uint16
	message  []byte // the question
	server   int    // whom it is asked of
	attempts int
	refusals int   // servers that have said that they cannot answer, in a row
	said     error // what the last of them said
	deadline int64 // when it is given up

	fd     int // -1: none
	token  event.Token
	timer  event.Timer
	stream stream // when fd is of TCP
}

// queriesMax bounds the questions on their way.
const queriesMax = 64

// ask begins a question, or queues it.
func (r *Resolver) ask(name string, kind dnsmessage.Type, depth int, deadline int64, tell func(answer, error)) *query {
	q := &query{r: r, name: name, kind: kind, tell: tell, depth: depth, deadline: deadline, fd: -1}
	if r.asking == queriesMax {
		if r.lastQueued == nil {
			r.queued = q
		} else {
			r.lastQueued.next = q
		}
		r.lastQueued = q
		return q
	}
	r.start(q)
	return q
}

// hurry has the query end soon: what it asks for is not needed any more.
func (q *query) hurry() {
	for q.then != nil {
		q = q.then
	}
	q.deadline = min(q.deadline, q.r.clock.Ms()+hurryMs)
	if q.timer.Armed() {
		q.r.timers.Arm(&q.timer, min(q.timer.DeadlineMs(), q.deadline))
	}
}

func (r *Resolver) start(q *query) {
	r.asking++
	q.timer.Init(q)
	if len(r.servers) > 0 {
		q.server = rand.IntN(len(r.servers))
	}
	q.attempt()
}

// attempt asks the present server. When the time is over, the query has failed.
func (q *query) attempt() {
	q.closeSocket()
	now := q.r.clock.Ms()
	if now >= q.deadline {
		q.end(answer{}, ErrTimeout)
		return
	}
	wait := min(int64(attemptMs)<<min(q.attempts/max(len(q.r.servers), 1), 3), attemptMaxMs)
	q.attempts++
	q.r.timers.Arm(&q.timer, min(now+wait, q.deadline))
	if len(q.r.servers) == 0 {
		return // they are being looked up themselves
	}
	q.id = uint16(rand.Uint32())
	var err error
	if q.message, err = appendQuestion(q.message[:0], q.id, q.name, q.kind); err != nil {
		q.end(answer{}, ErrFormat)
		return
	}
	fd, errno := sys.ConnectDatagram(&q.r.servers[q.server])
	if errno != 0 {
		return // the timer has the next one asked
	}
	if !q.register(fd) {
		return
	}
	if _, errno := sys.Write(fd, q.message); errno != 0 {
		q.closeSocket()
	}
}

// register puts a socket into the loop. False: it has no room, and the socket is closed.
func (q *query) register(fd int) bool {
	token, errno := q.r.loop.Register(fd, sys.EpollIn|sys.EpollOut|sys.EpollRdHup|sys.EpollEdge, q)
	if errno != 0 {
		sys.Close(fd)
		return false
	}
	q.fd, q.token = fd, token
	return true
}

func (q *query) closeSocket() {
	if q.fd >= 0 {
		q.r.loop.Unregister(q.token)
		sys.Close(q.fd)
		q.fd = -1
	}
	q.stream = stream{}
}

// Mark does nothing: Run looks for itself. See event.Handler.
func (q *query) Mark(uint32) {}

// Run reads what has come. See event.Handler.
func (q *query) Run() {
	if q.stream.on {
		q.runStream()
		return
	}
	for q.fd >= 0 {
		n, errno := sys.Read(q.fd, q.r.buf[:])
		switch {
		case errno == sys.EAGAIN:
			return
		case errno != 0: // nobody listens there, for one
			q.onRefused(ErrTimeout)
			return
		}
		a, err := parseAnswer(q.r.buf[:n], q.id, q.name, q.kind)
		if err != errIgnored {
			q.onAnswer(a, err)
			return
		}
	}
}

// OnTimer asks the next server. See event.Expirer.
func (q *query) OnTimer(*event.Timer) { q.nextServer() }

func (q *query) nextServer() {
	if len(q.r.servers) > 0 {
		q.server = (q.server + 1) % len(q.r.servers)
	}
	q.attempt()
}

// onAnswer acts on what a server has said.
func (q *query) onAnswer(a answer, err error) {
	switch {
	case err == ErrServerFailure, err == ErrRefused, err == ErrNotImplemented:
		q.onRefused(err)
	case err != nil:
		q.end(answer{}, err)
	case a.cut && !q.stream.on:
		q.openStream()
	case a.cut:
		q.onRefused(ErrServerFailure)
	case a.alias != "" && len(a.addrs)+len(a.srv) == 0:
		q.follow(a)
	default:
		q.end(a, nil)
	}
}

// onRefused has the next server asked at once, unless all of them have refused: then that is the answer, or, where nobody listens, they are given some time.
func (q *query) onRefused(why error) {
	q.said = why
	if q.refusals++; q.refusals < len(q.r.servers) {
		q.nextServer()
		return
	}
	q.refusals = 0
	if why != ErrTimeout {
		q.end(answer{}, why)
		return
	}
	q.closeSocket()
}

// follow asks for the name that the aliases have led to, of which the server has said nothing.
func (q *query) follow(a answer) {
	if q.depth == chainMax {
		q.end(answer{}, ErrServerFailure)
		return
	}
	tell, ttl := q.tell, a.ttl
	q.tell = func(answer, error) {}
	q.end(answer{}, nil)
	q.then = q.r.ask(a.alias, q.kind, q.depth+1, q.deadline, func(a answer, err error) {
		a.ttl = min(a.ttl, ttl)
		tell(a, err)
	})
}

// end is the end of the query.
func (q *query) end(a answer, err error) {
	q.closeSocket()
	q.r.timers.Unlink(&q.timer)
	q.r.asking--
	if first := q.r.queued; first != nil {
		if q.r.queued = first.next; q.r.queued == nil {
			q.r.lastQueued = nil
		}
		q.r.start(first)
	}
	q.tell(a, err)
}
