// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

//go:build !interop

package interop

// everything says that all cases run.
const everything = false
