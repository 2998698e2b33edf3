// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package budget works out, from a config alone, how much memory it can use at most: the limits that a worker gives its pools, and the
// lines that `weir -t` prints.
//
//	conf.Config --Of--> Budget --.-- worker: opens its pools with these limits, and tells the Go runtime how far its heap may go
//	                             '-- weir -t: Lines, one for each user of memory, and their sum
//
// Both read the same numbers, so what is printed is what is enforced. Off the Go heap a limit is exact: a pool gives no block beyond it. On the
// Go heap the numbers are what the objects of a worker take with all its connections in use, with room for garbage; the runtime is told
// the sum as its memory limit (GOMEMLIMIT), and collects more often before it would go beyond. Serving requests allocates nothing there in steady state.
//
// Not counted: what the kernel holds for sockets (tcp_mem, sndbuf, rcvbuf), and pages of files in its cache.
//
// Nothing here touches the system: -t may be run by anybody.
package budget
