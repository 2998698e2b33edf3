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

	// Texts that are replaced in the bodies of answers, without regard to the case of ASCII letters, each at most 8k. Both may have variables.
	SubFilter []SubFilter `toml:"sub_filter" example:"[{ string = '</body>', replacement = '<!-- $host --></body>' }]"`

	// Whether each of them is replaced once, and not wherever it is found.
	SubFilterOnce bool `toml:"sub_filter_once" default:"true"`

	// Content types of answers in which they are replaced, besides text/html; "*": all.
	SubFilterTypes []string `toml:"sub_filter_types" default:"['text/html']"`

	// Whether such answers keep their Last-Modified, and a weak ETag.
	SubFilterLastModified bool `toml:"sub_filter_last_modified" default:"false"`

	// Whether answers that are gzip are unpacked for clients that do not take gzip: those for which gzip_http_version, gzip_proxied and gzip_disable say so.
	Gunzip bool `toml:"gunzip" default:"false"`

	// Path whose answer stands before the body of answers with the code 200. It is asked for as with auth_request, and has at most 64k.
	AddBeforeBody string `toml:"add_before_body" example:"/header.html"`

	// The same behind the body.
	AddAfterBody string `toml:"add_after_body" example:"/footer.html"`

	// Content types of answers that something is added to, besides text/html; "*": all.
	AdditionTypes []string `toml:"addition_types" default:"['text/html']"`

	// AllTrailers and OwnTrailers are to AddTrailer what AllHeaders and OwnHeaders are to AddHeader.
	AllTrailers, OwnTrailers []AddHeader `toml:"-"`
}

// SubFilter is a text that is replaced.
type SubFilter struct {
	// What is looked for. Empty, which it can only be by its variables: it is not.
	String Template `toml:"string" required:"true" example:"</head>"`

	// What takes its place.
	Replacement Template `toml:"replacement" required:"true" example:"<link rel='x'></head>"`
}

// CharsetMap is how one charset becomes another, and the other way round.
type CharsetMap struct {
	// The charset of single bytes.
	From string `toml:"from" required:"true" example:"koi8-r"`

	// The other: utf-8, or one of single bytes.
	To string `toml:"to" required:"true" example:"utf-8"`

	// Bytes of the first as hexadecimal numbers, and what stands for them in the other: the bytes of a character of UTF-8, or one byte. Bytes below 80 stay as they are; others become "?".
	Values []CharsetValue `toml:"value" example:"{ 'C1' = 'D0B0', 'C2' = 'D0B1' }"`
}

// CharsetValue is one byte of a CharsetMap.
type CharsetValue struct {
	// The byte.
	Byte string `toml:"name" key:"true"`

	// The bytes in the other charset.
	Other string `toml:"value" short:"true" required:"true" example:"D0B0"`
}
