// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

//go:build !invariants

package invariant

// Enabled is false in builds without the tag "invariants": the compiler drops what stands under it.
const Enabled = false
