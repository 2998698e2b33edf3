// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package clock is the worker's time: read once per turn of the loop, handed out for nothing in between.
//
//	                      once per turn                      once per second
//	CLOCK_MONOTONIC --> Update --> Ms, Ns, Unix, UnixMs --> HTTPDate   Sun, 06 Nov 1994 08:49:37 GMT   (RFC 9110, 5.6.7)
//	                      ^                                 LogTime    06/Nov/1994:09:49:37 +0100      (nginx $time_local)
//	CLOCK_REALTIME -------'                                 ISO8601    1994-11-06T09:49:37+01:00       (nginx $time_iso8601)
//	  ten times a second                                    MsecText   784111777.123                   (nginx $msec)
//
// Cost: Update makes one vDSO call, for the monotonic clock. The wall clock is that reading plus an offset, and the
// offset is taken anew every 100 ms: both clocks run at the same (slewed) rate, so only a step of the wall clock can
// set them apart, and it is seen within that time. Reading both at each turn would cost about twice as much.
//
// Ms and Ns begin when the clock is made: no process knows what they say in another. SharedNs is for what processes share.
//
// Owner: the worker's loop owns its one Clock and is the only one to call Update; there is no package state. The texts
// are slices of the Clock's own memory: whoever keeps one past the next Update copies it.
//
// Invariants: Ms and Ns never run backwards; Unix and the texts follow the wall clock wherever it steps, and at any
// time show one and the same second.
//
// Failure: none; the vDSO calls cannot fail, and no call allocates after New.
//
// Not here: the moment inside a turn. What needs one (the length of the turn itself) asks the kernel.
package clock
