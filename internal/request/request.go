// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"net/netip"

	"weir/internal/buffer"
	"weir/internal/conn"
	"weir/internal/event"
	"weir/internal/eventpipe"
	"weir/internal/http1"
	"weir/internal/limitconn"
	"weir/internal/upstream"
)

// statusClientClosed is nginx's code for a request whose client went away; it is only ever logged.
const statusClientClosed = 499

// Request is one request in flight, and what it holds. The objects are used again and again; open and release mark the
// beginning and the end of one use, begin and end those of one request in it (pipelined requests share a use).
type Request struct {
	engine     *Engine
	state      State
	client     *conn.Conn // nil between uses
	waiter     buffer.Waiter
	spare      *buffer.Block   // a block that was waited for
	blockFor   *eventpipe.Pipe // gets the block that is waited for; nil: spare does
	blockClass buffer.Class    // the class it is waited for with
	task       event.Task

	// The head: buf[base:w] begins with it. buf is block's memory; or useArena's, when the head has outgrown a block or has been moved
	// out of one under memory pressure.
	block *buffer.Block
	buf   []byte
	base  int // the first byte of this request's head
	w     int // the end of what has been read
	next  int // the first byte that is not this request's; valid once the head is complete
	head  http1.RequestHead

	bind   *Bind
	server *Server
	loc    *Location
	fresh

	ownSub   *subrequest  // made when it is needed first
	arena    buffer.Arena // what lasts as long as this request (nginx's r->pool)
	useArena buffer.Arena // what lasts as long as this use, pipelined requests included (c->pool)
	crowded  bool         // a head of this use has more fields than fieldsKept

	host         []byte // the host in lower case, in hostText or in arena
	hostText     [lastHostMax]byte
	captures     captures
	values       []value // of the variables that the config defines
	valued       bool    // some of values are set
	phase        phase
	program      program
	escapeGroups bool // groups of expressions are escaped where they are put: see renderEscaped

	limitRateBytes int64

	holds       []limitconn.Hold // places under limits
	gate        gate             // how far the access checks have got
	original    netip.AddrPort   // the connection's own address, while it has another one: see findClient
	hasOriginal bool
	resumeMs    int64 // when a delayed request goes on

	body eventpipe.Pipe // client to origin

	group    *upstream.Group // that the request is passed to
	nameWait event.Waiter    // for its peers
	target   target          // of a proxy_pass with variables
	up       origin
	trials   []upstream.Trial
	tried    upstream.Tried

	relayPipe eventpipe.Pipe // origin (or this process) to client
	early     *buffer.Block  // an interim response not yet written
	progress  [2]int64       // what had been moved when the client's and the origin's deadline were set: see armIfMoved

	silentByMs int64 // tunnel: when it will have been idle for too long
	takeByMs   int64 // tunnel: when the origin will have taken nothing for too long; 0: the tunnel begins
	taken      int64 // tunnel: what it had taken when that was set

	webSocket bool      // the tunnel is one, and frames follows it
	frames    [2]frames // by direction

	pipelined   bool       // $pipe
	answerPage  answer     // what this process answers by itself
	file        served     // the file that it answers with
	trailer     []byte     // the trailer section of the origin's response, with proxy_pass_trailers; in the arena
	sentHead    []byte     // the head of the answer without the empty line, in arena, with Engine.KeepHeads; nil: none was sent
	sentTrailer []byte     // that of the answer, likewise
	discarded   discarding // see StateDiscard
	accel       accel      // what is kept of the answer that had X-Accel-Redirect

	id requestID
}

// fresh is the part of a request that is zero when it begins.
type fresh struct {
	methodID    http1.Method
	method      []byte // in the place of the head's, after an internal redirect
	withoutBody bool   // the request goes on without its body, for the same reason

	path         []byte // $uri: normalized, in buf or in arena
	args         []byte // $args: likewise
	changes      uint8  // how often path or location have changed: see countChange
	internal     bool   // not the path that the client asked for: locations with internal are open to it
	redirected   bool   // path and args are not the client's
	ownArgs      bool   // a rule has set $args
	wholePath    bool   // path is what a rule with break made of it: proxy_pass replaces nothing of it
	belowAlias   bool   // path is below the alias of a location given by a regular expression: try_files found it there
	limitRateSet bool   // a rule has set $limit_rate: to limitRateBytes
	fixed        bool   // an error page is being made: its own errors go out as they are

	startMs int64 // when the first byte came
	startNs int64 // the same in nanoseconds
	length  int64 // bytes of head and body: $request_length

	wait          waiting     // in line for a place
	limitStatus   string      // $limit_conn_status; empty: no limit was met
	rateStatus    string      // $limit_req_status; empty: no rate was asked
	retryAfterSec int         // what a client over a limit is told; 0: it is not over one
	sub           *subrequest // nil: the request is a client's; else ownSub
	added         added       // what is added to its answer
	authenticate  []byte      // the lines WWW-Authenticate, in arena

	hasBody     bool
	bodyText    []byte  // $request_body, in arena, with Engine.KeepBodies; nil: it has no value
	bodyFile    string  // the file of the body, with client_body_in_file_only or Engine.NameBodies; in the directory of temporary files
	bodyOpen    bool    // body has been opened
	asked       bool    // an origin has been asked, or looked for
	earlyCut    bool    // a part of Request.early has been written
	interims    int     // interim responses so far
	staleTrials int     // trials that only showed that a kept connection had been closed
	pausing     [2]bool // the deadline of that side is the end of a pause: see armPause

	round        int   // the trials before an internal redirect
	proxyStartMs int64 // when this round of trials began
	errorStatus  int   // the status that error_page gives to the answer of another location; 0: its own

	status    int   // of the response
	headSent  bool  // the head of the final response has been handed to the pipe
	headBytes int64 // its size
	complete  bool  // the response was written to its end
	out       outgoing

	trailerLost bool // there was no memory for Request.trailer

	upDone   bool // tunnel: the client has closed its side, and the origin knows
	downDone bool // tunnel: the other way round
	goodbye  goodbye
	aborted  bool // the response could not be completed

	closeClient bool // the connection ends with this response
	lingered    bool // lingering is over, or must not be
	lingerEndMs int64
}

func newRequest(e *Engine) *Request {
	r := &Request{engine: e, values: make([]value, len(e.Defined))}
	r.waiter.Init(r)
	r.task.Init(r)
	e.relief.all = append(e.relief.all, r)
	return r
}

// open begins a use: c has bytes to read.
func (r *Request) open(c *conn.Conn) {
	r.client = c
	c.SetOwner(r)
	if bind := r.engine.Binds[c.Listener.ID]; bind != r.bind {
		r.bind = bind
		r.openArenas(bind.Default)
	}
	r.block, r.buf = nil, nil
	r.base, r.w, r.next = 0, 0, 0
	r.pipelined = false
	r.begin()
}

// begin readies the object for a request whose head starts at buf[base]. What finish has left is not looked at again: gate, program, holds.
func (r *Request) begin() {
	r.fresh = fresh{}
	r.head.Reset()
	r.server = r.bind.Default
	r.loc = r.server.Default
	r.forgetValues()
	r.relayPipe.Wire, r.relayPipe.Raw, r.relayPipe.Received, r.relayPipe.Coded = 0, 0, 0, 0
	r.trials = r.trials[:0]
	r.tried.Reset()
	r.file.outside = 0
	r.id.reset()
	r.state = StateReadHead
}

// release ends a use. The client's connection has been closed or parked.
func (r *Request) release() verdict {
	r.stopWaiting()
	r.dropBlock()
	if len(r.holds) > 0 {
		r.unlimit()
	}
	if !r.arena.Empty() || !r.useArena.Empty() || r.crowded {
		r.closeUse()
	}
	r.client = nil
	r.engine.give(r)
	return done
}

// nowMs is the loop's time.
func (r *Request) nowMs() int64 { return r.engine.Clock.Ms() }

// headOf is the text of a piece of the request's head.
func (r *Request) headOf(s http1.Span) []byte { return s.Of(r.buf[r.base:]) }

// sendsBody says whether the origin gets a body.
func (r *Request) sendsBody() bool { return r.hasBody && !r.withoutBody && !r.loc.Proxy.DropBody }

// readsBody says whether the body is read before the origin is asked, or while it is: it is read too where the origin does not get it.
func (r *Request) readsBody() bool { return r.hasBody && !r.withoutBody }

// methodText is the request's method.
func (r *Request) methodText() []byte {
	if r.method != nil {
		return r.method
	}
	return r.headOf(r.head.Method)
}

// bodyUnread says whether a part of the request's body is still with the client.
func (r *Request) bodyUnread() bool {
	if !r.hasBody {
		return false
	}
	return !r.bodyOpen || !r.body.ReadDone()
}

// acquire takes a block, or queues the request for one: nil, and OnBlock brings it back.
func (r *Request) acquire(class buffer.Class) *buffer.Block {
	if b := r.spare; b != nil {
		r.spare = nil
		return b
	}
	b := r.engine.Pool.Acquire(class)
	if b == nil {
		r.waitForBlock(class, nil)
	}
	return b
}

// waitForBlock queues the request for a block, which it will hand to pipe, or keep for acquire if that is nil.
func (r *Request) waitForBlock(class buffer.Class, pipe *eventpipe.Pipe) {
	if pipe != nil {
		if needs := pipe.Needs(); needs == buffer.ClassAhead {
			class = needs
		}
	}
	if r.waiter.Waiting() && (r.blockFor != pipe || r.blockClass != class) {
		r.engine.Pool.Cancel(&r.waiter)
	}
	if !r.waiter.Waiting() {
		r.blockFor, r.blockClass = pipe, class
		r.engine.Pool.Wait(&r.waiter, class)
		r.engine.relief.start()
		if pipe == nil {
			r.client.Arm(r.nowMs() + blockWaitMs)
		}
	}
}

// blockWaitMs is how long a step waits for a block before the request is given up. It breaks deadlocks among requests that hold what
// the others wait for.
const blockWaitMs = 30_000

// OnBlock is told that a block is there. See buffer.Receiver.
func (r *Request) OnBlock(_ *buffer.Waiter, b *buffer.Block) {
	if r.blockFor != nil {
		r.blockFor.Grant(b)
	} else {
		r.spare = b
		r.client.Disarm()
	}
	r.drive()
}

// stopWaiting leaves the queue for a block, and gives back one that came and was not used.
func (r *Request) stopWaiting() {
	if r.waiter.Waiting() {
		r.engine.Pool.Cancel(&r.waiter)
	}
	if r.spare != nil {
		r.engine.Pool.Release(r.spare)
		r.spare = nil
	}
}
