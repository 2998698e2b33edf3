// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

//go:build race

package peers

// raceEnabled: the race detector is built in, whose instructions are not ours to count.
const raceEnabled = true
