// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package route finds the server for a host and the location for a path, in nginx's order.
//
//	host ──► ServerNames   1. exact name         one hash lookup
//	                       2. *.wild, longest    a walk over the host's labels from the right
//	                       3. wild.*, longest    a walk over the host's labels from the left
//	                       4. ~regex, in order   only the expressions
//	                       5. default server
//
//	path ──► Locations     1. "= /exact"         \  one walk down a radix tree,
//	                       2. longest prefix      } over the bytes of the path
//	                          ("^~": stop here)  /
//	                       3. "~", "~*", in order
//	                       4. the longest prefix
//
// Neither looks at all names: the cost grows with the host or path at hand, not with the config,
// except for the regular expressions, which are tried one after the other as nginx documents.
// A lookup allocates nothing.
//
// # Regular expressions
//
// Their syntax is PCRE's. One that RE2 can express, which is nearly all that stand in configs, is matched by package regexp: linear in
// the subject, whatever the expression, so no request can make it run away. What PCRE has and RE2 has not (look-around,
// back-references, atomic groups, possessive quantifiers) is matched by github.com/dlclark/regexp2, which backtracks and gives up after 100 ms. What that does not
// know either (\K, recursion, verbs) is refused when the config is read. One meaning differs from PCRE: "." in a path that is UTF-8 is a
// character, not a byte, where package regexp matches.
//
// A lookup only says which Pattern matched. Captures are computed by Pattern.AppendCaptures, for
// those who need them, because that allocates (package regexp offers no way that does not).
//
// # Who owns what
//
// Both structures are immutable once built and keep no reference to a subject. Servers and locations
// are indices into what the caller built from.
//
// # On failure
//
// Building fails with a text that names the faulty name or path; it reports every fault
// (errors.Join). A lookup cannot fail.
//
// # Not here
//
// Normalizing paths (package http1). The "$hostname" of server_name is replaced by the caller.
package route
