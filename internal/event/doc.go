// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package event is the worker's loop: one thread, one epoll instance, timers and posted work.
//
//	          +-------------------------- Turn --------------------------+
//	          |                                                          |
//	  wait -> clock -> mark every event -> run each handler -> timers -> posted work
//	(sleeps)           (readiness bits)    (stale tags dropped)
//
// Every descriptor is registered once, edge-triggered, for reading and writing (listeners apart), so the hot
// path never calls epoll_ctl. An event carries a slot number and a sequence tag. The tag changes when the slot is given
// to another descriptor, so an event that was fetched before a close cannot reach the next owner: it is dropped and counted.
//
// Events of a turn are delivered in two passes. First all readiness bits are marked, then handlers run. A handler that looks at
// another connection (an idle one to an origin, say) therefore sees everything the kernel had to tell when the turn began.
//
// # Ownership
//
// The loop, its timers and everything posted belong to the one goroutine that calls Turn. Only Wake may be called
// from elsewhere: it makes the loop's sleep end and the wake handler run.
//
// # Failure
//
// epoll_wait can fail only through a bug (EBADF, EFAULT, EINVAL): the loop panics with the call and the error.
//
// # Not here
//
// Sockets (package conn), and work that blocks (package offload).
package event
