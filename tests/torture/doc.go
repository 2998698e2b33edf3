// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package torture runs the binaries, built with the invariants, with everything against them at once: clients and origins that misbehave at random, hardly any
// buffers, places and descriptors, every feature in use, while workers are killed, generations and masters change, and logs are reopened.
//
//	clients (client_test.go) ──▶ weir, a random config (config_test.go) ──▶ origins (origin_test.go)
//	                                 ▲
//	                           chaos_test.go
//
// While that lasts, only what is wrong in any case is a fault: bytes of a body that are not the right ones, an answer to another request, a body that looks
// complete and is not, a request that reaches an origin malformed. When all clients and origins have gone, books_test.go looks for what is left behind: connections,
// descriptors, blocks, room in temporary files, places under limits, requests in line, work without end; and at each zone, and at the logs.
//
// What a run does follows from its seed, which a failure prints; in which order things happen does not. WEIR_TORTURE_SEED repeats one, WEIR_TORTURE_SECONDS sets
// how long each run takes, WEIR_TORTURE_RUNS how many there are, WEIR_TORTURE_BUILDFLAGS how the binaries are built; with WEIR_TORTURE_KEEP=1 the folder of a run that has failed stays; `make torture` runs long.
package torture
