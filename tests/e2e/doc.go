// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package e2e tests weir from outside: real binaries, real sockets, real
// signals. The tests know the documents (CONTRACT.md, RFC 9110/9112, nginx's
// directive reference) and nothing of the code; the package imports no other
// package of this module.
//
//	test ──raw bytes──▶ weir (master + workers) ──raw bytes──▶ scripted origin
//	  │                     ▲                                        │
//	  └── signals, config ──┘            what arrived, byte for byte ┘
//
// The parts:
//
//   - main_test.go builds weir, weir-worker and weir-convert once into a temporary
//     directory (WEIR_E2E_BUILDFLAGS adds flags, for example "-race").
//   - proxy_test.go starts one proxy per test in its own prefix, on ports the
//     kernel gave, and at the end proves that it left cleanly: exit by signal,
//     no process left, no panic, alert or emerg in the error log.
//   - site_test.go renders the usual one-server config; nginx_test.go renders
//     the same TOML for nginx. With WEIR_E2E_PROXY=nginx the suite runs against
//     the system's nginx: a check of the tests themselves, because what they
//     expect is nginx's documented behaviour unless CONTRACT.md differs. A test
//     of something that only weir has calls weirOnly. With
//     WEIR_E2E_PROXY=converted weir is given the same nginx.conf: a check of the
//     conversion.
//   - client_test.go and origin_test.go are the two ends. Both read HTTP
//     strictly (message_test.go): a lone LF, a doubled Content-Length or a body
//     that ends early is an error, never repaired.
//   - limits_setup_test.go looks into limit zones over the control socket;
//     limits_storm_test.go is load on many keys with books at both ends, while
//     limits_crash_test.go kills workers. WEIR_LONG=1 makes the tests of limits
//     take longer: more kills, more reloads.
//   - bulk_test.go makes bodies of any size and hashes them without keeping them:
//     for buffering, rates, tunnels, ten thousand bodies (bodies_test.go;
//     WEIR_SEED repeats a run) and clients that read nothing (stalled_test.go).
//     With WEIR_LONG=1 those are 1 GiB long, and 2,000.
//   - load_test.go drives many keep-alive connections and accounts for every
//     request that was put on the wire.
//
// `make test` runs all of them; which are left out with the race detector and
// with the invariants, and why, says the Makefile. Most run beside each other
// (settle in main_test.go); those that judge times or load run alone.
//
// Waiting is always for a condition with a deadline. Where a test has to show
// that something does not happen, it makes a later event happen that would come
// after it, or waits for the documented timeout of the proxy.
package e2e
