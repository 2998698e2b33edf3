// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Command bench runs weir, nginx and HAProxy side by side under the same load and says what a request costs in each.
//
//	core 1                       core 0
//	wrk, idle clients  -------->  one worker: weir | nginx | HAProxy   (one at a time under load)
//	nginx (origin)     <--------
//
// It starts a real nginx as the origin and every proxy with one worker and the same features: keep-alive to the origin,
// X-Forwarded-For, a buffered access log. A round starts the proxies afresh and gives every workload to each of them in turn; what
// is reported is the median over the rounds. It uses the kernel's ports, one temporary folder, and ends what it started, also
// when it is interrupted.
//
// What is counted:
//
//   - instructions and cycles, user and kernel, of the worker's process: perf stat, where the machine has hardware counters;
//   - user instructions of the worker under callgrind, where it has none and valgrind is installed: exact, and slow, so in a run of its own;
//   - user instructions of the worker's loop thread by single-stepping it (ptrace), where neither is there: slower still, so for the
//     small keep-alive request only;
//   - processor time of the worker, user and system, from /proc: always;
//   - requests, latency and errors: wrk.
//
// The environment chooses: QUICK=1 (a minute and a half), PROXIES=weir,nginx,haproxy, ROUNDS=3,
// WORK="64 connections;10 MiB;idle;instructions" (parts of the workloads' names), PROFILE=1 (single-steps, and says which functions
// the instructions are in), CLIENTS=8 (for single-stepping), OUT=folder for benchmarks.md and benchmarks.svg. Without OUT a full
// run of all three proxies writes them to docs/, and any other run only prints.
//
// Not here: micro-benchmarks of packages (beside their code), and allocation counts (tests of the worker).
package main
