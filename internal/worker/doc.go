// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package worker is one worker process: it builds everything that serves requests from the config that the master
// passed on, runs the loop, and drains.
//
//	Run: manifest -> config -> build -> drop privileges -> listen -> "ready" -> loop -> drain or stop -> exit
//
//	worker.go      Run, the loop, what ends it
//	setup.go       the order of start-up; privileges
//	build.go       groups, logs, servers: from conf's types to those of package request
//	location.go    one location
//	zones.go       zones; limit_conn     rates.go   limit_req
//	memory.go      pools of blocks, their numbers
//	bodies.go      counters of bodies
//	names.go       origins that are named by host
//	origins.go     the zone of origins, which all workers share
//	temp.go        temporary files
//	listen.go      listening sockets; fairness between workers
//	channel.go     messages from the master, signals
//	probe.go       the answer that a new master asks for before it takes over
//	handover.go    connections from and to workers of other generations
//
//	             .---- SIGQUIT, "drain", master gone ----.
//	  serving ---'                                       '--> draining --nothing left--> exit 0
//	     '--------- SIGTERM, SIGINT, "stop" ------------------------------------------------------------------------> exit 0
//
// # Drain
//
// With HandOver in the order, clients' connections without a request go into the hand-over queue, which a newer worker reads from then on. Without it, this worker may be
// the last one that reads the queue, and looks into it once more before it leaves. Requests in flight have until the worker_shutdown_timeout of their location: CloseLate is
// called until nothing is left, and ends those that are late. So a drain ends when nothing is left, with each request logged, not at a deadline of its own; the master has one.
//
// # The Go runtime in a worker
//
// The loop runs on the locked main thread with raw system calls, so it keeps its processor (P) all the time, and lets go of it in a sleep only
// when a helper goroutine is at work or nothing happens for a tenth of a second: to get it back costs two wake-ups of the runtime's threads, and some sixty of its monitor's. GOMAXPROCS is 2: one
// for the loop, one for helper goroutines and the garbage collector, which otherwise could not run beside it. Asynchronous preemption is off
// (the master starts workers with GODEBUG=asyncpreemptoff=1): its signals would interrupt the loop's system calls a hundred times a second for nothing, as
// there is no other goroutine to run in its place. Serving a request allocates nothing, so the collector has nothing to do in
// steady state.
//
// # Failure
//
// A worker that cannot start tells the master why ("failed", with the text) and exits with code 1. A panic ends the
// process with a report on standard error; the master starts another worker.
package worker
