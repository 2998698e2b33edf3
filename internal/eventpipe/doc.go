// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package eventpipe moves a message body from one connection to another, with bounded memory and without copying bytes where that can be
// avoided. It is nginx's ngx_event_pipe with HAProxy's splicing: a response flows from the origin to the client, a request body from the client
// to the origin; the same Pipe serves both.
//
//	source --readv--> freeRaw                                                        free
//	                     | take: the input filter                                     ^
//	                     v                                                            | updateChains, letGo
//	                    in ---spill---> out          (temporary file)                 |
//	                     |               |                                            |
//	                     '------output---'--> busy --writev, sendfile--> sink --------+--> kept --Rewind--> in
//
//	source --splice--> kernel pipe --splice--> sink   (nothing else on the way)
//	source --peek--> scratch --write--> sink          (memory is short: no block between two turns)
//
// # Descriptors and shadows
//
// What moves between the chains is a descriptor (Buf), never bytes. A raw block is what a read fills; the input filter makes shadows: descriptors
// that point at the payload in it, one for a body with a length, one for each chunk of a chunked one:
//
//	raw block:  | 5\r\n | hello | \r\n 3\r\n | abc | \r\n | room: the next read goes here |
//	                     ^ shadow              ^ shadow, lastShadow
//
// The raw block goes back to the pool with the descriptor that has lastShadow. When the room behind it is read into, lastShadow is taken off it
// first, and the next shadow has it. Chunks of up to copyMax bytes are moved to the payload before them instead of getting a descriptor each.
// The output filter frames what it hands to the sink as one chunk, with the framing in descriptors of its own.
//
// Order of the bytes: kernel pipe, then busy, then out, then in. Any chain may hold descriptors of the file and of memory; `out` only the former.
//
// # Pump
//
// Pump writes, then reads, until neither makes progress or the budget of a turn is used up; its outcome says what to wait for. What has come is
// written at once if the sink takes it: buffering never delays a byte. When the sink takes nothing, reading goes on until Options.Blocks blocks
// are in use, then, after a moment (patienceMs), with the oldest data moved to the temporary file. Where that has reached its bound, the
// instance's quota, or a full disk, the source is not read any more: back-pressure, never a failed body.
//
// A pipe that has nothing to write asks for a block with its class, any other with buffer.ClassAhead: reading ahead of a slow sink is the first
// thing that stops when blocks are short. While buffer.Pool.Pressed, a pipe that rests gives its blocks up to the file (Relieve), and one that
// holds nothing passes a body on in peek mode. Where the file is full too, pipes that rest hold no more blocks in all than reading
// ahead may use: any further one asks for its first block with ClassAhead (rest.go).
//
// # Files
//
// buf.go descriptors and chains; shared.go what the pipes of a worker share; pipe.go open, close, feed; input.go and output.go the filters; pump.go
// the pump and reading; keep.go bodies that may be sent again; serve.go files as bodies; spill.go the temporary file; splice.go, splicer.go kernel pipes; peek.go, peekchunks.go; rate.go;
// stall.go; rest.go; check.go.
//
// # Ownership
//
// A block belongs to the pipe from PushHead, Feed, Grant or a read on, until its last shadow is done with; one fed with FeedPinned stays the
// caller's. Descriptors belong to Shared. Memory that the temporary file's thread is reading stays where it is until the write has ended, even when the pipe
// is closed in the meantime: its descriptors are released after that. Everything belongs to one worker's loop.
//
// A Watcher, if there is one, sees what comes from the source and may end a body that has no length of its own: a tunnel that is to end between two of its
// protocol's messages.
//
// # Invariants
//
//   - Bytes out equal payload in, in order, framed as told.
//   - A block is in exactly one place; after Close, and the end of a pending write, all blocks, descriptors, kernel pipes and files are back.
//   - A body that ends early, or badly framed, never ends as Done.
//   - A kernel pipe that has bytes in it is closed and not used for another body.
//
// Check walks the chains. The simulation (sim_test.go) holds all of this over random schedules on real sockets and files.
//
// # Failure
//
// The outcome names the side that failed. A file that cannot be written is counted, and the pipe goes on without one. Nothing is logged here and
// no connection is closed.
//
// # Not here
//
// Connections' readiness and the calls on sockets (package conn), the file and its quota (tempfile, quota), deadlines and what a body is for
// (package request).
package eventpipe
