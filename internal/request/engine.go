// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"net/netip"

	"weir/internal/buffer"
	"weir/internal/clock"
	"weir/internal/conn"
	"weir/internal/event"
	"weir/internal/eventpipe"
	"weir/internal/files"
	"weir/internal/filter"
	"weir/internal/htpasswd"
	"weir/internal/logfile"
	"weir/internal/offload"
	"weir/internal/stats"
	"weir/internal/sys"
	"weir/internal/tempfile"
	"weir/internal/upstream"
)

// Options are what an Engine works with. All of it belongs to one worker's loop.
type Options struct {
	Loop      *event.Loop
	Clock     *clock.Clock
	Table     *conn.Table
	Pool      *buffer.Pool
	Calls     *offload.Queue     // for threads that check passwords, and look at files
	Depot     *buffer.Depot      // large pieces of requests' memory
	Splicer   *eventpipe.Splicer // kernel pipes; nil: bodies are not spliced
	Spill     *tempfile.Store    // temporary files; nil: there are none
	SpillPath string             // their directory, as logs and origins see it
	Stats     *stats.Page        // this worker's
	Segment   *stats.Segment     // that of all workers
	Log       *logfile.ErrorLog
	// OnDamaged is told of a limit zone that was found damaged, each time.
	OnDamaged func(zone string)
	Binds     []*Bind           // by conn.Listener.ID
	Groups    []*upstream.Group // of origins
	Targets   *upstream.Targets // those that proxy_pass with variables leads to
	Defined   []Defined         // variables of the config's own
	// KeepBodies says that $request_body is asked for.
	KeepBodies bool
	// NameBodies says that $request_body_file is asked for.
	NameBodies bool
	// KeepHeads says that a $sent_http_ field is asked for.
	KeepHeads bool
	Lister    *files.Lister // of folders; nil where no location has autoindex
	Filters   *filter.Pool  // nil where no location has filters
	Charsets  *Charsets     // nil where none is named
	Version   string
	Hostname  string
	PID       int
	// MaxRewrite is the room kept in a head's first block while it is read (buffers.maxrewrite), in bytes.
	MaxRewrite int
}

// Engine serves the clients of one worker: it owns connections between requests, and lends them to a Request while one is in flight.
type Engine struct {
	Options
	Pipes          *eventpipe.Shared // what the pipes of all requests share
	idle           []*Request        // used last comes last
	inFlight       int
	draining       bool
	drain          drain
	lines          lines // requests that wait for a place
	limiter        limiter
	rater          rater
	peerKey        [16]byte     // memory for an address: see Request.peerKey
	source         acceptSource // for the limits of listening addresses
	holds          []*connHolds // not in use
	relief         relief
	variables      *variables
	passwordFiles  *htpasswd.Files // with the thread that has them; nil until the first password
	passwordThread *offload.Thread
	fileThread     *offload.Thread // for files that conditions ask for; made when it is needed first
	made           []byte          // the part of a head or trailer section that has been written, while a field is written that may refer to it
	madeFrom       int             // where that part begins in its memory
	scratch        []byte          // see Request.renderScratch
	groups         []int           // memory for one match of a regular expression
	crowded        int             // requests in flight with a head of more fields than fieldsKept
	boundary       uint64          // of the last answer in several parts
}

// NewEngine makes an engine.
func NewEngine(o Options) *Engine {
	e := &Engine{Options: o, variables: newVariables()}
	e.Pipes = eventpipe.NewShared(eventpipe.SharedOptions{Pool: o.Pool, Clock: o.Clock, Splicer: o.Splicer, Spill: o.Spill})
	e.relief.init(e)
	e.lines.init(e)
	return e
}

// OnAccept takes a client's socket. See conn.Acceptor.
func (e *Engine) OnAccept(l *conn.Listener, fd int, peer netip.AddrPort) {
	e.Stats.Accepted.Inc()
	holds, ok := e.admit(l, fd, peer)
	if !ok {
		sys.Close(fd)
		return
	}
	c, errno := e.Table.Open(fd, e, peer)
	if errno != 0 {
		if holds != nil {
			e.dismiss(holds)
		}
		sys.Close(fd)
		return
	}
	if holds != nil {
		c.Attached = holds
	}
	e.Stats.Handled.Inc()
	e.Stats.Active.Inc()
	c.Listener = l
	e.park(c, e.Binds[l.ID].Default.HeaderTimeoutMs)
}

// park has a connection wait for the first byte of a request. While the worker drains, a worker of a newer generation gets it, if there is one.
func (e *Engine) park(c *conn.Conn, timeoutMs int64) {
	c.Arm(e.Clock.Ms() + timeoutMs)
	if e.draining && e.handOver(c) {
		return
	}
	e.await(c)
}

// await is park for a connection that stays here.
func (e *Engine) await(c *conn.Conn) {
	c.SetOwner(e)
	e.Table.Waiting.Push(c)
	e.Stats.Waiting.Inc()
	e.sayFarewell(c)
}

// OnReady begins a request when its first bytes are there. See conn.Owner.
func (e *Engine) OnReady(c *conn.Conn) {
	if !c.Readable() {
		return
	}
	e.Table.Waiting.Remove(c)
	e.Stats.Waiting.Dec()
	e.Stats.Reading.Inc()
	r := e.take()
	r.open(c)
	r.drive()
}

// OnTimeout closes a connection that has been idle for long enough. See conn.Owner.
func (e *Engine) OnTimeout(c *conn.Conn) {
	if e.draining && !c.Quiet() {
		c.Mark(sys.EpollIn) // the next request came at the last moment
		e.OnReady(c)
		return
	}
	e.closeWaiting(c)
}

// closeWaiting closes a connection that has nothing in flight.
func (e *Engine) closeWaiting(c *conn.Conn) {
	e.Stats.Waiting.Dec()
	e.closeClient(c)
	e.CheckEmpty()
}

func (e *Engine) closeClient(c *conn.Conn) {
	if holds, ok := c.Attached.(*connHolds); ok {
		e.dismiss(holds)
	}
	e.Stats.Active.Dec()
	c.Close()
}

// take returns a Request object: a used one, if there is one.
func (e *Engine) take() *Request {
	e.inFlight++
	if n := len(e.idle); n > 0 {
		r := e.idle[n-1]
		e.idle = e.idle[:n-1]
		return r
	}
	return newRequest(e)
}

func (e *Engine) give(r *Request) {
	e.idle = append(e.idle, r)
	e.inFlight--
	e.CheckEmpty()
}

// InFlight is the number of requests being served.
func (e *Engine) InFlight() int { return e.inFlight }

// evictLooks bounds the clients that MakeRoom looks at.
const evictLooks = 16

// MakeRoom closes a connection that has nothing in flight, if there is one: one to an origin, else that of the client that has been
// waiting longest. The table is full.
func (e *Engine) MakeRoom() bool {
	var most *upstream.Group
	for _, g := range e.Groups {
		if n := g.Idle(); n > 0 && (most == nil || n > most.Idle()) {
			most = g
		}
	}
	if most == nil {
		most = e.Targets.Idlest()
	}
	if most != nil {
		most.Evict()
		return true
	}
	c := e.Table.Waiting.First()
	for range evictLooks {
		if c == nil || c.Quiet() {
			break
		}
		c = c.Next() // its request came at the last moment
	}
	if c == nil {
		return false
	}
	e.closeWaiting(c)
	return true
}
