// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package lint holds the rules of the house as tests over the source tree: `go test ./internal/lint/` fails where one is
// broken and names file, line and rule.
//
//	tree  ->  imports     layers.txt: a package imports only what is written before it
//	      ->  statements  go, unsafe, time.Sleep only where they belong
//	      ->  variables   no package-level state that changes
//	      ->  lengths     files and functions, with the exceptions named in exceptions.txt
//	      ->  documents   licence lines, doc.go, a comment on what is exported
//	      ->  references  numbers and tests of INVARIANTS.md; links, files and names in documents
//	      ->  words       nothing of the machine it was written on, nothing left undone
//
// A tree is parsed once (syntax only: no type checking, no build) and each rule is a function from the tree to findings.
// Each rule has a test with a small tree that breaks it, and one test that runs all rules over the repository.
//
// The two text files are policy. They are changed because the design changes, in a commit that says why; they are not edited
// to make a build pass.
//
// Formatting, vet and general bugs are not here: gofmt, go vet and staticcheck find them (`make check`).
package lint
