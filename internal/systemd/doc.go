// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package systemd speaks the service manager's two protocols, from the service's side: what the service tells (sd_notify(3)) and
// the listening sockets that it is given (sd_listen_fds(3)).
//
//	NOTIFY_SOCKET  <-- READY=1 | RELOADING=1, MONOTONIC_USEC | STOPPING=1 | MAINPID | STATUS | WATCHDOG=1
//	LISTEN_FDS     --> descriptors 3, 4, ... that listen already
//
// Who owns what: a Notifier holds no descriptor; each datagram has a socket of its own. The descriptors that Passed returns belong to the caller.
//
// Invariants: no call waits. A datagram that the manager has no room for is kept and sent later, in order; of states that supersede each other (STATUS,
// WATCHDOG) only the last is kept. Who has said MAINPID says nothing more. Without NOTIFY_SOCKET every call does nothing.
//
// On failure: what cannot be sent is dropped after a while; the service goes on. Its manager then judges by what it has heard.
//
// Why not github.com/coreos/go-systemd: its SdNotify waits when the manager does not read, which would stop the master's loop and with it
// the watchdog that is to tell of a stopped loop; its activation hands out files with finalizers where descriptors are to be inherited. What is left is shorter than the glue.
package systemd
