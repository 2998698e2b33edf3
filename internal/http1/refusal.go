// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package http1

// Verdict is what a parser says of the bytes so far.
type Verdict uint8

const (
	// More says that the bytes are fine and do not end the message part: call again with more.
	More Verdict = iota
	// Done says that the message part is complete.
	Done
	// Bad says that the bytes are refused; the Refusal says why.
	Bad
)

// String gives the verdict's name.
func (v Verdict) String() string {
	switch v {
	case More:
		return "more"
	case Done:
		return "done"
	default:
		return "bad"
	}
}

// Refusal is the reason of a Bad verdict.
type Refusal uint8

// The refusals. The comment names the rule; Status gives the answer for a client.
const (
	RefusedNone             Refusal = iota
	RefusedControl                  // a control character anywhere in the head (RFC 9110 section 5.5, RFC 9112 section 3)
	RefusedBareCR                   // a CR without LF (RFC 9112 section 2.2)
	RefusedRequestLine              // not METHOD SP target SP version (RFC 9112 section 3), HTTP/0.9 among them
	RefusedMethod                   // the method is not of capital letters, hyphen and underscore
	RefusedNotAllowed               // CONNECT, which a reverse proxy does not serve
	RefusedTarget                   // none of the four forms of RFC 9112 section 3.2, or a form not for this method
	RefusedVersion                  // HTTP/2.0 and above in a request line
	RefusedLineTooLong              // request line longer than Limits.LineBytes
	RefusedFieldTooLong             // field line longer than Limits.LineBytes
	RefusedHeadTooLarge             // head longer than Limits.HeadBytes
	RefusedTooManyFields            // more than Limits.Fields
	RefusedFold                     // obsolete line folding (RFC 9112 section 5.2)
	RefusedFieldLine                // a field line without a colon (RFC 9112 section 5)
	RefusedFieldName                // a field name that is not a token, or a space before the colon (RFC 9112 section 5.1)
	RefusedDuplicate                // a second field where only one may be
	RefusedNoHost                   // HTTP/1.1 without Host (RFC 9112 section 3.2)
	RefusedHost                     // Host or authority that is not uri-host [ ":" port ]
	RefusedContentLength            // Content-Length that is not 1*DIGIT within 63 bits (RFC 9112 section 6.2)
	RefusedTransferEncoding         // Transfer-Encoding other than chunked (RFC 9112 section 6.1)
	RefusedCodingVersion            // Transfer-Encoding in HTTP/1.0 (RFC 9112 section 6.1)
	RefusedBothFramings             // Transfer-Encoding and Content-Length together (RFC 9112 section 6.3)
	RefusedConnection               // more than maxConnectionOptions in Connection
	RefusedStatusLine               // not HTTP/1.x SP 3DIGIT [SP reason] (RFC 9112 section 4)
	RefusedChunked                  // malformed chunked framing or trailer section (RFC 9112 section 7.1); the caller's to set
	numRefusals
)

// Status is the response code for a client whose request was refused: 400, 405, 414, 501 or 505 (0 for RefusedNone). For
// a refused response of an origin the answer is always 502 and Status is not asked.
func (r Refusal) Status() int {
	switch r {
	case RefusedNone:
		return 0
	case RefusedNotAllowed:
		return 405
	case RefusedLineTooLong:
		return 414
	case RefusedTransferEncoding:
		return 501
	case RefusedVersion:
		return 505
	default:
		return 400
	}
}

// TooLarge says that a limit on the header fields was passed, which nginx answers with 400 too, but with a page of its own
// ("Request Header Or Cookie Too Large", code 494 in its error_page).
func (r Refusal) TooLarge() bool {
	return r == RefusedFieldTooLong || r == RefusedHeadTooLarge || r == RefusedTooManyFields
}

// String is the constant text for the log, in lower case and without the peer's bytes.
func (r Refusal) String() string {
	if r >= numRefusals {
		return "unknown refusal"
	}
	return refusalTexts[r]
}

var refusalTexts = [numRefusals]string{
	RefusedNone:             "none",
	RefusedControl:          "control character in the head",
	RefusedBareCR:           "carriage return without line feed in the head",
	RefusedRequestLine:      "invalid request line",
	RefusedMethod:           "invalid method",
	RefusedNotAllowed:       "method not allowed",
	RefusedTarget:           "invalid request target",
	RefusedVersion:          "version of HTTP not supported",
	RefusedLineTooLong:      "first line too long",
	RefusedFieldTooLong:     "header field line too long",
	RefusedHeadTooLarge:     "header fields too large",
	RefusedTooManyFields:    "too many header fields",
	RefusedFold:             "folded header field line",
	RefusedFieldLine:        "header field line without colon",
	RefusedFieldName:        "invalid header field name",
	RefusedDuplicate:        "duplicate header field",
	RefusedNoHost:           "HTTP/1.1 request without Host",
	RefusedHost:             "invalid host",
	RefusedContentLength:    "invalid Content-Length",
	RefusedTransferEncoding: "unknown Transfer-Encoding",
	RefusedCodingVersion:    "Transfer-Encoding in HTTP/1.0",
	RefusedBothFramings:     "Content-Length and Transfer-Encoding at the same time",
	RefusedConnection:       "too many connection options",
	RefusedStatusLine:       "invalid status line",
	RefusedChunked:          "invalid chunked body",
}
