// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package lookup is the tables of nginx's map, geo and split_clients: from the text of a request, or the address of a client, to the number of a value.
//
//	map            text    -> exact, "*.wild", "wild.*", "~expression" -> value
//	geo            address -> longest prefix, or range                 -> value
//	split_clients  text    -> MurmurHash2 -> part of 100 %             -> value
//
// What a value is, and when it is worked out, is the caller's (package request). Tables are immutable once built and keep no reference to what they are asked.
// A lookup allocates nothing, but where an expression of a map has groups.
//
// Building fails with a text that names the entry. A lookup cannot fail: what is in no entry has the value Default.
package lookup
