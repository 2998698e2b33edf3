// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package slots is the table of worker slots: which process is in which slot, of which generation, and in which state.
//
//	       Claim             Start              Ready            Drain
//	Free --------> Claimed --------> Starting --------> Ready --------> Draining
//	 ^ ^  Unclaim |   |                 |                 |                |
//	 | '----------'   '-----------------+--------+--------+----------------'
//	 |                                           | Died, Sweep
//	 |             Reap                          v
//	 '------------------------- Reaping <------ Dead
//
// A slot is a worker's number in shared memory: its page of counters (package stats), its shares in zones (package limitconn). No two live workers have
// one, of whatever generation or master. A slot becomes free only after all that its dead worker held has been given back.
//
// Each slot is one 64-bit word, changed by compare-and-swap: by the master that starts and reaps the worker, by the worker itself
// (Ready, Drain), and by any other master (Sweep, Reap), as there are two during an upgrade. There is no lock, and no half-done change.
//
// Two masters share a table during an upgrade, each with workers and perhaps with zones that the other does not have. So a dead slot is reaped by the master that
// claimed it, as long as that lives; the owner's number stands beside the word. Generations get their numbers here too (NextGeneration), so that they go on counting from one
// master to the next and no two have the same.
//
// Failure. A worker's end is told by its master (Died). When that master has ended too, another one finds out by Sweep, which asks the kernel for the process with that number and start
// time. A master that is killed while it reaps leaves Reaping behind; Sweep makes it Dead again, and the next Reap repeats what was begun. A worker that finds its slot gone
// (Ready returns false) has been given up and ends. A master that gives up a worker that starts calls Revoke first (Starting to Draining), so that it kills none that serves a client already.
//
// All users of a table share one PID namespace, as for package shmtx. Without /proc no process can be found: Create's and Attach's caller sees it as workers that Sweep
// takes for dead, so weir does not start without /proc.
//
// What is not here: starting and waiting for processes (package master).
package slots
