// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package conn is one socket as the rest of the worker sees it: readiness, bytes in and out, one deadline, an owner.
// It is the only package that knows how bytes get to the wire; another transport would come behind the same calls.
//
//	Table   all connections of the worker, one array made at start
//	Conn    one of them: descriptor, readiness bits, timer, owner, the client's address
//	        transfer.go: bytes that pass through no buffer of the process, or are only looked at
//	List    connections in order of use (idle ones, oldest first); a Conn is on one list at most
//	Accept  a listening socket in the loop: takes connections one at a time, yields to less busy workers
//	Gate    accept_mutex: listening sockets are in the loop only while this worker holds a lock
//
// # Readiness
//
// A descriptor is registered once, edge-triggered. The kernel tells of a change; Conn remembers it in bits that stay set until
// a call finds out otherwise: a read or write that gives EAGAIN, or that moved fewer bytes than it was asked to (epoll(7) allows
// that conclusion for stream sockets, except when the peer has closed, which Conn takes into account).
//
// # Ownership
//
// A Conn belongs to the owner that SetOwner named last, which gets its events and time-outs. Closing it gives the array entry
// back at once; the event tag makes sure that nothing late reaches the next user.
//
// # Failure
//
// Reset, broken pipe and the like end as the status Failed, with the errno kept for the log. A full table is an error of Open.
package conn
