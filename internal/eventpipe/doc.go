// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package eventpipe moves a message body from one connection to another through a bounded queue of blocks.
//
//	source --read--> [ block | block | block ] --write--> sink
//	           |       ^          first                |
//	           |       | payload, framed for the sink  '--> block back to its pool
//	           '-- filter: takes the source's framing off in place
//
// A response flows from the origin to the client, a request body from the client to the origin; the same Pipe serves both.
//
// # A block's bytes
//
//	Data: | head room 16 |  payload ...............  | tail room 16 |
//	         "1f40\r\n"     chunk framing of the         "\r\n0\r\n\r\n"
//	                        source removed in place
//
// A read goes between head room and tail room. The chunked filter closes the gaps that chunk heads leave by moving payload towards
// the front, so that one block is one run of payload; when the sink wants chunks, its head and tail go into the rooms.
//
// # Pump
//
// Pump writes, then reads, until neither makes progress or the budget of a turn is used up; its outcome says what to wait for.
// Back-pressure is the bound of the queue: a source is not read while Options.Blocks are waiting for a slow sink.
//
// # Invariants
//
//   - Bytes out equal payload in, in order.
//   - A block is on the queue or in the pool, never in both; after Close all are in the pool.
//   - A body that ends early, or badly framed, never ends as Done.
//
// # Failure
//
// The outcome names the side that failed. Nothing is logged here and no connection is closed.
package eventpipe
