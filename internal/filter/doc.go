// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package filter has nginx's body filters, for package eventpipe: an Encoder is given a body piece by piece, has its stages change it one after the other, and
// what they make of a piece goes to the client before it gets the next.
//
//	eventpipe: Room, Added -> Run --(little work)--> at once --------------.
//	                           '--(much)--> thread --> OnEncoded -----> Output
//
//	in -> gunzip -> sub -> charset -> gzip -> out      (those that are wanted, in nginx's order)
//
// A Stage is a pure function with a memory: bytes in, bytes out. It may leave bytes that it cannot judge before more have come, such as the beginning of what sub_filter looks for,
// and it stops when it has made a piece: what is left waits, in the encoder or before it, until the client has taken that.
//
//	encoder.go  the stages of one body, run one after the other     pool.go  encoders and what they are made of
//	gzip.go  gunzip.go  sub.go  charset.go                          the stages
//
// Up to loopBytes are compressed on the loop: that takes some 30 microseconds, about what a hop to a thread and back costs. Anything more, and all unpacking, is done on
// the thread, which all encoders of a worker share. Stages that only search and replace are cheaper than a hop.
//
// # Memory
//
// An encoder holds about Bytes, what compresses GzipBytes and what unpacks GunzipBytes more. A Pool has a bounded number of each. A body for which there is no compressor goes out as it is.
// What a body has used is kept for the next one.
//
// # Ownership
//
// An encoder belongs to its pipe from Acquire to Release. While the thread is at work its input and output are the thread's; one that is released meanwhile
// goes back to the pool when the thread is done, and nobody is told.
//
// # Failure
//
// A body of gzip that cannot be unpacked ends the encoding: Err. No other stage can fail.
//
// # Not here
//
// Which bodies are changed, and what becomes of the fields of their heads (package request).
package filter
