// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package proxyproto reads and writes the header of the PROXY protocol, versions 1 and 2, with which a proxy says for whom it has connected.
// The specification is HAProxy's doc/proxy-protocol.txt.
//
//	bytes of a connection --Parse--> more bytes are needed | Header and its length | refused
//
// # Who owns what
//
// A Header shares nothing with the bytes that it was read from.
//
// # Invariants
//
//   - Parse reads nothing behind the header, and its verdict does not depend on how much of that is there (FuzzParse).
//   - A header is bounded: 107 bytes of version 1, 4096 of version 2, as with nginx.
//
// # On failure
//
// A connection that begins with something else is Bad: it was not made by a proxy, and nothing that it says may be believed.
//
// # Not here
//
// Whom to believe, and TLVs in what is written.
package proxyproto
