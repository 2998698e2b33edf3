// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package invariant says whether this build checks itself.
//
// Cheap checks are always on. Expensive ones (poisoning memory, walking a structure after each change) stand under
// the constant Enabled, so that without the build tag the compiler removes them and what they call:
//
//	if invariant.Enabled {
//		if b.pool != p {
//			panic(p.report("release", b))
//		}
//	}
//
// The tag is "invariants"; "make check" tests with it: go test -tags invariants ./...
//
// What is not here, on purpose: an assert function. Its arguments are evaluated, and boxed, even when the
// condition holds; an if statement costs the comparison.
package invariant
