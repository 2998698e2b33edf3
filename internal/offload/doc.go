// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package offload has goroutines wait for what the worker's loop cannot wait for, and brings what they learn to the loop: signals, which the
// Go runtime delivers on a channel.
//
//	signal --> runtime --> goroutine --> queue --> eventfd --> loop: Drain
//
// It is the only package of a worker with a go statement; internal/lint checks that.
//
// Nothing here is on the hot path; a queued result costs a mutex and one write to an eventfd.
package offload
