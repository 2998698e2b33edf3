// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"fmt"

	"weir/internal/conn"
	"weir/internal/logfile"
)

// State is how far a request has got.
type State uint8

// The states; each is handled by the step named after it.
const (
	StateReadHead   State = iota // the head is being read
	StateRoute                   // path and arguments are worked out of the target
	StatePhases                  // the location is found, and what answers: see phase
	StateDelay                   // limit_req has the request wait
	StateQueue                   // the request waits in line for a place, under a limit or with an origin
	StateReadBody                // the body is read before an origin is asked
	StateResolve                 // the names of the origins are being looked up
	StatePick                    // an origin is chosen and a connection to it taken or begun
	StateConnect                 // the connection to the origin is being made
	StateExchange                // the request is sent and the head of the response is read
	StateRespond                 // the response's head waits for a block
	StateList                    // a folder is read, for a list of it
	StateAnswer                  // an answer of weir's own waits for a block
	StateRelay                   // the response is sent to the client
	StateTunnel                  // bytes pass both ways until one side has had enough
	StateFinish                  // the response is over: log, release
	StateDiscard                 // a body that nobody wants is read and dropped, for the next request to come
	StateLinger                  // the client's bytes are dropped until it closes
	StateSubrequest              // the outcome of a subrequest is known
)

// String names the state as reports have it.
func (s State) String() string {
	return [...]string{"read head", "route", "phases", "delay", "queue", "read body", "resolve", "pick", "connect", "exchange", "respond", "list", "answer", "relay", "tunnel", "finish", "discard", "linger", "subrequest"}[s]
}

// verdict is what a step says to the driver.
type verdict uint8

const (
	again verdict = iota // the state has changed, or there is more to do: go on at once
	wait                 // an event will bring the request back
	done                 // the request is over and its memory is given back: do not touch it
)

// become is the only place where a request changes its state.
func (r *Request) become(s State) verdict {
	if r.sub != nil && s.ofClient() {
		s = StateSubrequest
	}
	r.state = s
	return again
}

// drive runs steps until one has to wait.
func (r *Request) drive() {
	for r.step() == again {
	}
}

// step runs the step of the present state.
func (r *Request) step() verdict {
	switch r.state {
	case StateReadHead:
		return r.readHead()
	case StateRoute:
		return r.route()
	case StatePhases:
		return r.passPhases()
	case StateDelay:
		return r.delay()
	case StateQueue:
		return r.queue()
	case StateReadBody:
		return r.readBody()
	case StateResolve:
		return r.resolve()
	case StatePick:
		return r.pick()
	case StateConnect:
		return r.connect()
	case StateExchange:
		return r.exchange()
	case StateRespond:
		return r.respond()
	case StateList:
		return wait
	case StateAnswer:
		return r.writeAnswer()
	case StateRelay:
		return r.relay()
	case StateTunnel:
		return r.tunnel()
	case StateFinish:
		return r.finish()
	case StateDiscard:
		return r.discard()
	case StateSubrequest:
		return r.endSubrequest()
	default:
		return r.linger()
	}
}

// OnReady goes on with the request. See conn.Owner.
func (r *Request) OnReady(c *conn.Conn) {
	r.checkOwns(c)
	if c == r.client && c.HungUp() && r.clientGone() {
		return
	}
	r.drive()
}

// checkOwns panics if a connection that is not, or no longer, the request's names the request as its owner.
func (r *Request) checkOwns(c *conn.Conn) {
	if c != r.client && c != r.up.conn {
		panic(fmt.Sprintf("request: an event of connection %d for a request in state %q that does not have it", c.Serial, r.state))
	}
}

// RunTask goes on with a request that had more to do than fits in a turn. See event.Runner.
func (r *Request) RunTask() {
	if r.client != nil {
		r.drive()
	}
}

// clientGone ends a request whose client has closed its side while an origin is working on it: nobody will read the
// answer. True if it did.
func (r *Request) clientGone() bool {
	switch {
	case r.state == StateDelay || r.state == StateQueue && !(r.wait.origin && r.loc.Proxy.IgnoreAbort) || r.state == StateResolve && !r.bodyUnread():
		r.status = statusClientClosed
		r.logInfo("client closed the connection while its request waited")
		r.abortResponse()
		r.drive()
		return true
	case r.bodyUnread() || r.loc.Proxy != nil && r.loc.Proxy.IgnoreAbort:
		return false // in the first case the read of the body finds out
	case r.state == StateRelay && r.pausing[clientSide]:
		// Nothing would be written for a while, and so nothing would be found out.
	case r.up.conn == nil:
		return false
	case r.state == StateConnect || r.state == StateExchange:
		r.status = statusClientClosed
	case r.state != StateRelay || r.relayPipe.ReadDone():
		return false
	}
	r.logOriginAt(logfile.LevelInfo, "client closed the connection before it had its response", r.doing())
	r.abortResponse()
	r.drive()
	return true
}

// OnTimeout acts on a deadline: by the state, and by whose it was. See conn.Owner.
func (r *Request) OnTimeout(c *conn.Conn) {
	r.checkOwns(c)
	if c == r.client {
		r.clientTimeout()
	} else {
		r.originTimeout()
	}
	if r.client != nil {
		r.drive()
	}
}

func (r *Request) clientTimeout() {
	if r.state == StateDiscard {
		r.closeAll()
		return
	}
	if r.waiter.Waiting() && r.blockFor == nil && r.state != StateReadHead {
		r.giveUpWaiting()
		return
	}
	if r.endPause(clientSide) {
		return
	}
	switch r.state {
	case StateReadHead:
		r.headTimeout()
	case StateReadBody, StateExchange:
		r.logInfo("client sent its request body too slowly")
		r.abandonOrigin()
		r.closeClient = true
		r.answer(408)
	case StateRelay, StateTunnel:
		switch r.goodbye {
		case goodbyeHear:
			r.endedTunnel() // they have been told
			return
		case goodbyeTell:
			r.abortResponse() // it takes nothing
			return
		case goodbyePass:
			r.startTelling()
			return
		}
		r.logInfo("client took its response too slowly")
		r.resetTimedOut()
		r.abortResponse()
	case StateLinger:
		r.lingerEndMs = 0
		r.closeAll()
	}
}

// resetTimedOut has the connection reset when it is closed, if the config wants that.
func (r *Request) resetTimedOut() {
	if r.loc.ResetTimedOut && r.sub == nil {
		r.client.ResetOnClose()
	}
}

// giveUpWaiting ends a request for which no block has come.
func (r *Request) giveUpWaiting() {
	r.logShortage()
	r.stopWaiting()
	r.closeClient = true
	if r.state == StateAnswer || r.headSent {
		r.abortResponse()
		return
	}
	r.abandonOrigin()
	if r.bodyOpen {
		r.body.Close()
	}
	r.answer(503)
}

func (r *Request) originTimeout() {
	if r.endPause(originSide) {
		return
	}
	switch r.state {
	case StateConnect, StateExchange, StateRespond:
		r.failOrigin(NextTimeout, "origin timed out", r.doing())
	case StateTunnel:
		r.tunnelTimeout()
	default:
		r.logOrigin("origin timed out while sending its response")
		r.abortResponse()
	}
}
