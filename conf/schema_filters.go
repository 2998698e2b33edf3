// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

// FilterSettings are the settings of what is changed in answers, or added to them, on their way to the client.
type FilterSettings struct {
	// Trailer fields added to responses that are sent in chunks, for which HTTP/1.1 clients get responses with these codes in chunks: 200, 201, 204, 206, 301, 302, 303, 304,
	// 307 and 308, or all: NAME = "template" or NAME = { value = "template", always = true }. A field with an empty value is not sent.
	AddTrailer []AddHeader `toml:"add_trailer" example:"{ X-Took = '$request_time' }"`

	// What add_trailer at one level does with the fields of the level around it, as add_header_inherit.
	AddTrailerInherit HeaderInherit `toml:"add_trailer_inherit" default:"on"`

	// Conditions under which responses with the code 103 (Early Hints) are passed on to clients: one of these texts is neither empty nor "0". []: always, as RFC 9110 wants it.
	EarlyHints []Template `toml:"early_hints" example:"['$http2', '$arg_hints']" as:"weir; nginx passes none"`

	// AllTrailers and OwnTrailers are to AddTrailer what AllHeaders and OwnHeaders are to AddHeader.
	AllTrailers, OwnTrailers []AddHeader `toml:"-"`
}
