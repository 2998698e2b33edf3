// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package prober is the process that checks the health of the origins: one for the host, however many workers there are.
//
//	config --> plan: one target for each origin with a health_check
//	             |      hosts by name: those that the workers have found, which come and go (hosts.go)
//	target.run: check --> verdict --> peers.SetHealth --> all workers, at their next choice
//	     '-- interval, jitter --'
//
// The master starts it when a generation that wants checks serves, ends it when another one does, and starts it again when it dies (prober.go in package master). It is
// unprivileged as a worker is, and made of plain goroutines: it serves nobody, and what it does is far from any request.
//
// # Who owns what
//
// A target belongs to its goroutine. What is found stands in shared memory (package peers), and nowhere else: whoever checks next goes on with it, so it
// stays over reloads and upgrades, and when this process is killed.
//
// # On failure
//
// An origin that cannot be reached, or does not answer as expected within the timeout, has failed a check; that is what this is for. When this process is killed, the health of the
// origins stays what it was until the next one has checked them.
//
// # Not here
//
// What becomes of an origin that is unhealthy: package upstream. What is expected of an answer: conf.Expectation.
package prober
