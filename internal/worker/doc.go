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
//	bodies.go      numbers of the bodies that went through
//	names.go       origins that are named by host
//	origins.go     what all workers know of origins
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
// With HandOver in the order, clients' connections without a request go into the hand-over queue, and this worker reads that no more: somebody newer does. Without it, this worker
// may be the last that reads, and looks into the queue once more before it leaves. What is in flight has until worker_shutdown_timeout, of its location: CloseLate is called
// until nothing is left, and ends what is late. So a drain ends by being empty, with each request logged, not by a deadline of its own; the master has one.
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
// What keeps a worker from starting is told to the master ("failed", with the text) and ends the process with exit code 1. A panic ends the
// process with a report on standard error; the master starts another worker.
package worker
