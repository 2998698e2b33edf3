// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package sys holds every system call that weir makes by itself, one file per family. It is the only user of
// golang.org/x/sys/unix and, with package shm, the only one of unsafe.
//
//	epoll.go    the event queue and the eventfd that wakes it
//	io.go       read, write, writev, close
//	socket.go   addresses, accept, connect, options
//	listen.go   listening sockets, as the master opens them
//	channel.go  the socket pair between master and worker; descriptors in messages
//	splice.go   kernel pipes, sendfile, looking at bytes that wait in a socket
//	file.go     sealed memory files, log files
//	tempfile.go files without a name, and writing to them
//	process.go  starting and reaping processes, privileges, parent-death signal
//	limit.go    bounds on what this process may use
//	anon.go     advice about memory of one process
//	memfd.go, mmap.go, futex.go, flock.go   shared memory and its locks
//
// Two kinds of calls, never mixed in one function:
//
//   - Those of the worker's loop return a syscall.Errno and are raw: the Go scheduler is not told, because
//     the descriptor does not block. They allocate nothing and repeat themselves on EINTR.
//   - Those of start-up and of the master return an error whose text names the call and its arguments.
//
// What is not here: policy. A function here does one call, or the few that only make sense together.
package sys
