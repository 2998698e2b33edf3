// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package vars is nginx's variables: the catalogue of their names, and templates such as
//
//	$remote_addr - $remote_user [$time_local] "$request" $status
//
// compiled once, when the config is read, and rendered for every request.
//
// # A template is a short program
//
//	text     "$scheme://${host}:8080$request_uri"
//	ops      {literal "",    variable scheme}
//	         {literal "://", variable host}
//	         {literal ":8080", variable request_uri}
//	tail     ""
//
// Each op appends a literal and then one variable, so a template of n variables is n turns of one
// loop. The variable's value comes from a Source (the request): one interface call with a dense ID,
// which the Source answers with one switch. Names are looked up, lower-cased and checked only by
// Compile; a running worker never sees a variable's name, except the part behind a family prefix
// ($http_NAME), which is handed to the Source as arg.
//
// What is rendered with every request (access logs, header fields) is a Bound: the same program with the Source's functions in the place of the IDs, and what
// never changes made part of the literals.
//
// # Escaping
//
// A log template escapes what a Source appends, and nothing else: the literals are the operator's.
// The Source appends raw bytes; the template looks at them eight at a time and rewrites them where
// they lie only if one of them needs it. Variables whose values cannot need it (numbers, times,
// addresses) are marked in the catalogue and are not looked at; a build with the tag invariants
// does look, and panics when the mark is wrong.
//
// # Who owns what
//
// A Template is immutable and may be shared by everything in the process. The bytes belong to the
// caller: Append grows dst like the built-in append does and keeps no reference to it.
//
// # On failure
//
// Compile fails with a text that names the variable and, where one is near, the name that was
// probably meant. Append cannot fail: a variable that has no value gives "" (or "-" in a log with
// the default escaping, as nginx's log_format documents).
//
// # Not here
//
// Values. They are the request's business (package request), and this package must not know it.
// nginx has no way to write a literal "$" in a template (neither "$$" nor "\$"), and neither has weir:
// "$" must be followed by a name. What the variables that a config defines (Names) have for values, and when, is the Source's too.
package vars
