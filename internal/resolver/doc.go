// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package resolver looks names up in the DNS for a worker, in its loop: nginx's resolver.
//
//	Lookup --> Entry (a name, or a service of one) --> query (A), query (AAAA), query (SRV)
//	             |                                        | one UDP socket for each attempt; TCP when the answer was cut off
//	             '--- Waiters, when nothing is known yet <-'
//
//	message.go   questions and answers as bytes: pure
//	query.go     one question, asked of one name server after the other until one answers
//	stream.go    the same over TCP
//	resolver.go  what is known, and for how long
//
// # Who owns what
//
// The loop owns everything. An Entry is the resolver's; whoever has asked may keep it and look at what it says, also after the resolver has
// forgotten it. A query owns its socket and leaves the loop's timers when it ends.
//
// # Invariants
//
//   - An answer is believed only when it comes from the server that was asked (the socket is connected to it), to the port that it was asked from,
//     with the identifier and the question: the port is the kernel's choice and new for each attempt, the identifier is random.
//   - Nothing blocks, and each query ends within Options.TimeoutMs.
//   - A name is asked for once, however many wait for it. At most queriesMax questions are on their way; others wait for their turn. At most entriesMax
//     names are known or on their way: when all of them are on their way, no further one is asked for (ErrCrowded).
//   - Everything that is waited for ends: each Entry that is pending has a query.
//
// # On failure
//
// A server that does not answer, or cannot, is followed by the next one, and so on in turn. When the time is over, the entry has failed (ErrTimeout) and those
// that wait are told. A failure is not kept: who asks later has it tried again. A malformed answer counts as none.
//
// # Not here
//
// Files such as /etc/hosts, search lists, DNSSEC and EDNS: who needs the system's own idea of a name asks the system (package worker does, for names
// that are looked up once).
package resolver
