// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package compress makes gzip of bodies, for package eventpipe: an Encoder is given a body piece by piece, and what it makes of one goes to the client
// before it gets the next.
//
//	eventpipe: Room, Added -> Run --(few bytes)--> at once ----------------.
//	                           '--(more)--> thread --> OnEncoded -----> Output
//
// Up to loopBytes are compressed on the loop: that takes some 30 microseconds, about what a hop to a thread and back costs. Anything more is done on the thread,
// which all encoders of a worker share.
//
// # Memory
//
// An encoder holds about EncoderBytes, most of it tables of the compressor. A Pool has a bounded number of them; who gets none sends the body as it
// is. They are kept for the next body.
//
// # Ownership
//
// An encoder belongs to its pipe from Acquire to Release. While the thread is at work its input and output are the thread's; one that is released meanwhile
// goes back to the pool when the thread is done, and nobody is told.
package compress
