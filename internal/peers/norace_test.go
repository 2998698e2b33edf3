// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

//go:build !race

package peers

// raceEnabled is false: what the processor executes is what will run.
const raceEnabled = false
