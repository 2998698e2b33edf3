// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

//go:build invariants

package invariant

// Enabled is true in builds with the tag "invariants": expensive checks run.
const Enabled = true
