// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package convert makes a configuration of weir's of an nginx.conf: values for weir itself, TOML for people.
//
//	nginx.conf, includes
//	   | read.go: the parser's lexer; directives with file and line, includes put in place
//	tree of directives
//	   | convert.go: each directive by the first of these that knows it
//	   |    rules.go      a rule of its own, when weir's key has another form: blocks.go, listen.go, upstream.go, answers.go, logs.go, limits.go
//	   |    conf.Keys     a key of weir's schema with the same name: nothing else is needed for it
//	   |    harmless      arguments that ask for what weir does anyway
//	   |    inert         what only matters to nginx's insides: a note
//	   |    otherwise     refused, with a reason, and a suggestion when the name is none of nginx's
//	tables and keys (document.go)
//	   | values.go: values, and the directive that each comes from
//	   |    check.go: conf.Load; its faults become refusals of the directives they come from
//	   | text.go: TOML
//	values packed, places, notes; text
//
// To convert a directive for which weir gets a key of the same name and meaning, nothing is to be done. When its arguments are another form than the key's
// value, it needs a rule. docs/nginx-directives.md is generated from these tables.
//
// # Who owns what
//
// A result shares nothing with the files. The tree is not changed by a conversion, so a second one may start from it.
//
// # Invariants
//
//   - No directive is dropped without a note, but those that ask for what weir does anyway.
//   - A result without a refusal passes conf.Load, and its text says the same as its values (TestConvert, FuzzConvert).
//   - Convert does not panic, whatever the files hold (FuzzConvert), and reads a bounded number of directives.
//
// # On failure
//
// A text that is not nginx's syntax has one fault and no result. Everything else is collected. With Options.Lenient what is refused is left out, and
// so is, in another round, what conf.Load finds faulty then: a location that passes to a group that was left out, say. A server without any
// of its addresses is left out as a whole, because without an address it would take port 80.
//
// # Not here
//
// Values: whether "5 minutes" is a time is said by conf.Load, with the line of the nginx.conf. Files and processes: package wire and
// cmd/convert. The parser is used nowhere else.
package convert

//go:generate go test -run TestDirectives -update .
