// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package http1 reads and writes HTTP/1.x message heads and chunked bodies. It is pure: bytes in, tokens out. It owns
// no descriptor, no clock, no buffer, and allocates nothing in steady state, so that every answer depends on the bytes
// alone and every test is a table.
//
//	the caller's buffer    GET /a?b HTTP/1.1\r\n   Host: x\r\n   \r\n   body...
//	                       '--------.--------'   '---.---'    |    |
//	RequestHead            Method, Path, Query    Fields[0]  Len   Chunked.Next: runs of payload
//	                       (Spans)                (Spans, id, Hop)
//
//	Parse -> request line -> usualFields (lines with nothing to think about, eight bytes at a time)
//	                           |  ^
//	                           v  |
//	                         nextLine, parseField (every rule)  -> finish: Host, framing, Connection -> Done or Bad
//
// Bytes are written by the Append functions: what leaves has CR LF, always. Most fields pass unchanged and stand one behind the other: Exceptions finds
// those that do not, so that the others are copied together (copy.go).
//
// # Who owns what
//
// The buffer is the caller's. A head stores Spans, offsets from the start of the head, so the caller may move or grow the
// buffer between two calls of Parse and after the last one. A head keeps the capacity of its field list over Reset.
//
// # Incremental reading
//
// Parse is called with the same start and more bytes until it says Done or Bad. It reads whole lines: the position of the
// line being read and how far that line has been searched are remembered, so the work is linear in the bytes however they
// arrive, and cutting the input anywhere gives the same result, refusals included. A control character is refused when it
// arrives, not when its line ends: a TLS client that talks to a plain port is answered at once.
//
// # Strictness
//
// RFC 9112 and RFC 9110 decide what is malformed; where they leave a choice the choice is nginx's, or the stricter one.
// Whatever two parsers could read differently is Bad:
//
//   - a CR that no LF follows, any control character, a folded line, a space before the colon, a line without a colon;
//   - more than one SP in the request line, a target with a space or a fragment, a missing version;
//   - two Content-Length or Transfer-Encoding fields (equal ones too), both at once, a Content-Length that is not digits
//     only, a Transfer-Encoding that is not exactly "chunked", or that comes with HTTP/1.0;
//   - no Host in HTTP/1.1, two Hosts, a Host that is not uri-host [ ":" port ];
//   - in a chunked body: a line that ends without CR, a size that overflows, malformed extensions and trailers.
//
// Lines of a head, trailer fields among them, may end with a lone LF (RFC 9112 section 2.2); lines of chunk framing may not.
//
// # Hop-by-hop fields
//
// A Field carries Hop when it must not be forwarded: the fields that are about one connection (FieldID.HopByHop), and those
// that Connection names. Naming a field that carries the message's meaning (Host, Content-Length, Content-Type, Cookie and
// the others in intendedForAll) has no effect: RFC 9110 section 7.6.1 forbids to send such an option, and obeying it would
// let a client take such a field away behind a filter that has seen it.
//
// # Failure
//
// Bad comes with a Refusal: a status for the client and a constant text for the log. The caller answers and closes; a head
// that was Bad stays Bad until Reset. Limits bounds everything that can grow.
//
// # Not here
//
// Reading and writing sockets (conn), what a request means (request), variables (vars), choosing a server or a location
// (route). Dates. HTTP/2. Building a whole head: the caller knows which fields it wants, this package has the pieces.
package http1
