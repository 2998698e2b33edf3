// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package http1

// Limits bounds what a head may take. All three numbers must be positive. It is read only and may be shared.
type Limits struct {
	LineBytes int // longest line, its end included: nginx's large_client_header_buffers size
	HeadBytes int // longest head, from the first byte to the end of the empty line; at most 1 GiB
	Fields    int // most header fields, at most maxFields: nginx's max_headers

	// IgnoreInvalid drops a request field whose name has other characters than letters, digits and hyphen (and underscore,
	// if Underscores), as nginx's ignore_invalid_headers does. When false, a name that is a token is kept and any other is
	// refused, which is stricter than nginx. Control characters and spaces in a name are refused in both cases.
	IgnoreInvalid bool
	// Underscores makes underscore a valid character for IgnoreInvalid: nginx's underscores_in_headers.
	Underscores bool
}

// DefaultLimits are nginx's defaults: lines of 8k, 4 large buffers, 1000 fields, ignore_invalid_headers on,
// underscores_in_headers off.
func DefaultLimits() Limits {
	return Limits{LineBytes: 8 << 10, HeadBytes: 32 << 10, Fields: 1000, IgnoreInvalid: true}
}

const (
	// maxFields is the most that the index of first fields can name.
	maxFields = 1<<16 - 1
	// maxConnectionOptions bounds the work of marking the fields that Connection names: options times fields.
	maxConnectionOptions = 64

	// MaxChunkLine is the longest chunk-size line in bytes, leading zeros and extensions included.
	MaxChunkLine = 4 << 10
	// MaxChunkExcess is how many bytes of chunk framing more than the payload justifies a body may have; a chunk justifies
	// 16 bytes and two for each byte of its payload.
	MaxChunkExcess = 16 << 10
	// MaxTrailerBytes is the longest trailer section in bytes.
	MaxTrailerBytes = 8 << 10
	// MaxTrailerFields is the most trailer fields.
	MaxTrailerFields = 64
)
