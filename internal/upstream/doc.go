// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package upstream holds the groups of origins: which one takes the next request, which ones have failed lately, and
// the connections to them that are kept open between requests.
//
//	Group  a set of Peers under one name; Pick chooses: smooth weighted round robin, or by a Method (balance.go, ring.go), each as nginx's; a group whose
//	       origins are named by host gets new ones while it serves (change.go)
//	Peer   one origin: address, weight, idle connections, and what all workers know of it (package peers)
//	Tried  the peers that one request has been sent to, and the one that it is bound to (sticky.go)
//	Trial  what became of one attempt, for the log ($upstream_addr, $upstream_status, ...)
//
//	                 Pick                      TakeIdle or connect
//	  request  ------------->  Peer  ----------------------------->  conn.Conn
//	     ^                      |                                        |
//	     |   Failed, Succeeded  |          KeepIdle                      |
//	     '----------------------'  <-------------------------------------'
//
// # Invariants
//
//   - An idle connection is on its peer's list and nowhere else, owned by the peer.
//   - An idle connection that shows a byte or a close is closed at once; one that is about to be used is looked at first
//     (Conn.Quiet, when it has been idle long enough for that to pay). It is never used with bytes nobody asked for.
//   - A group holds at most Options.Keepalive idle connections.
//   - A peer with MaxConns has at most that many attempts in progress over all workers: each holds a place in a zone (package limitconn) from
//     Pick to Tried.Leave, and the places of a killed worker are given back like any others.
//   - A group keeps at most Options.KeepaliveTotal idle connections over all workers: each holds a place in the same zone.
//   - A request that finds its peers full may wait in the group's line there (Wait, Enter): it is given the first place that it can use.
//   - A choice by turns or by load is made under the lock of Options.Zone, with what follows from it; nothing waits under it. One by hash or at random needs none, but for
//     the first chance after a failure, which one request of all workers gets. A peer of a group without a Zone is known to this worker only (peers.Alone).
//
// # Not here
//
// Sending and reading (package request), and looking names up: the worker does, and calls SetPeers (change.go).
package upstream
