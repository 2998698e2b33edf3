// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package crashtest is for tests that kill real processes in the middle of their work on a zone. Only tests import it.
//
//	test ---- Spawn("crash:3,17", zone, control) ----> the test binary again: TestMain calls Main, which calls the role "crash" with "3,17"
//	  |                                                          |
//	  |                                                    Control.KillAt, called before each store
//	Control.AwaitKill <------- Reached ------------------- it stands where it is to be killed
//	  | meanwhile() ---------- Waiting ------------------> it kills itself
//	  it is dead
//
// A Control is in a segment that both have mapped. A process that is never told anything gives up by itself, so a test that fails leaves none behind.
//
// What is not here: what is killed, where, and what has to hold afterwards. That is each package's own.
package crashtest
