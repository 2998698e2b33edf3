// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package offload has goroutines wait for what the worker's loop cannot wait for, and brings what they learn to the loop: signals, which the
// Go runtime delivers on a channel, and work that may have to wait for a disk.
//
//	signal --> runtime --> goroutine --.
//	                                   +--> queue --> eventfd --> loop: Drain
//	loop: Thread.Do --> job --> Work --'                                '--> OnWorked
//
// It is the only package of a worker with a go statement; internal/lint checks that.
//
// A job belongs to whoever embeds it. From Do to OnWorked the goroutine may use what the job is about, and the loop leaves that alone. Jobs and results
// are linked through the jobs themselves: no allocation, and no bound that could be reached.
//
// A job costs two mutexes, a wake-up of the goroutine and one write to an eventfd, about 10 microseconds from end to end.
package offload
