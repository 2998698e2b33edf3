// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Command weir-worker serves requests. weir starts it, with everything that it needs in a manifest at descriptor 3; it
// is of no use by hand.
//
// It does what package worker says and nothing more: this package locks the thread, ignores the signals that must not end it, and
// turns the outcome into an exit code.
package main
