// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package request takes a request from its first byte to its log line: it reads the head, finds server and location, asks an
// origin or answers by itself, relays the response, and hands the client's connection back.
//
//	                         .-> answer ------------------------------------------------------.
//	                         |                                                                v
//	read head -> route -> phases -> [read body] -> pick -> connect -> exchange -> relay -> finish -> (next request | linger | close)
//	                       |  ^                      ^                  |   \                ^
//	                       delay                     '--- next origin --'    '--> tunnel ----'
//
// A Request is a table of steps and one short driver (state.go). A step does what can be done now and says "again", "wait" or
// "done"; it never blocks, and every loop over network data has a bound for one turn. Whatever event arrives, the driver runs the step of
// the present state, and the step looks at everything anew: it does not matter which connection the event was for.
//
//	engine.go     connections between requests; where Request objects come from
//	state.go      states, driver, time-outs
//	readhead.go   read head           finish.go    log, keep alive, linger, close
//	route.go      path and arguments  answer.go    answers of weir's own, redirects
//	phases.go     from the path to what answers: nginx's phases
//	rewrite.go    rules: rewrite, set, if, return, break
//	reqbody.go    read body           errorpage.go error_page, built-in pages
//	proxy.go      choice of an origin, what happens when it fails
//	exchange.go   the request goes out, the head of the response comes in
//	sendhead.go   the head for the origin
//	respond.go    the head for the client; relaying the body
//	proxyrules.go proxy_redirect, proxy_cookie_*   accel.go     X-Accel-Redirect, X-Accel-Charset
//	dial.go       proxy_bind, proxy_protocol       trailer.go   trailer fields
//	outgoing.go   the answer, before it goes out    filters.go gzip.go charset.go addition.go   what is changed in it
//	flow.go       buffered or not, how fast; deadlines and pauses of a relay
//	tunnel.go     101 and after       limit.go     limit_conn, of requests and connections
//	line.go       waiting in line for a place, under a limit or with an origin
//	rate.go       limit_req           pressure.go  what a waiting request gives back while memory is short
//	memory.go     arenas              status.go    stub_status
//	log.go        access log, fields of the error log
//	websocket.go  where its frames end             goodbye.go   the end of a tunnel by this worker
//	drain.go      finishing, time limits           handover.go  connections to and from other workers
//	variables*.go, trials.go  values of variables     config.go   the config, compiled
//
// # Memory
//
// A connection that waits for a request holds no block and no Request. A request holds: one block with its head until it is over;
// blocks of its body, or a temporary file, until it has been sent (until the response begins, if it may have to be sent again); one block with
// the origin's head until it is over, since variables refer to it; and what is on its way to the client. All come from one pool;
// a step that gets none waits in the pool's queue. Steady state allocates nothing.
//
// # Invariants
//
//   - Each connection has one owner: the engine while it waits, a Request while it is in flight, a Peer while it is idle, a handing while
//     another process decides whether to take it over. Only the process that owns a client's connection reads from it.
//   - A request that has been counted as begun is logged once, and every block that it held is back in the pool afterwards.
//   - Nothing of the client's head reaches the origin but method, target and fields as parsed; framing is always written anew.
//   - A connection to an origin goes back to be used again only after a complete exchange: request sent in full, response
//     read in full and nothing behind it.
//   - A response that could not be completed never looks complete to the client.
//
// # Failure
//
// Faults of the client are logged at info, faults of an origin at error. Either ends in one of the documented answers, or, once a response
// has begun, in a closed connection.
package request
