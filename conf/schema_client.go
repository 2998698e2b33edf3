// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import "time"

// HeadSettings are settings of how request heads are read. Where several servers listen on an address, those of its default server hold.
type HeadSettings struct {
	// Whether a header field whose name has other characters than letters, digits and hyphens (and underscores, with underscores_in_headers) is dropped. Otherwise
	// it is passed on, if HTTP allows its name at all.
	IgnoreInvalidHeaders bool `toml:"ignore_invalid_headers" default:"true"`

	// Whether the name of a header field may have underscores.
	UnderscoresInHeaders bool `toml:"underscores_in_headers" default:"false"`

	// Most header fields of a request. One with more is answered with 400.
	MaxHeaders int `toml:"max_headers" default:"1000" min:"1" max:"65535"`
}

// ClientSettings are settings of connections to clients.
type ClientSettings struct {
	// Time that responses say, in the field Keep-Alive, their connection is kept. 0: there is no such field.
	KeepaliveHeaderTimeout time.Duration `toml:"keepalive_header_timeout" default:"0" max:"365d" as:"nginx, the second parameter of keepalive_timeout"`

	// Whether a connection that has timed out, or is closed with 444, is reset, so that the kernel keeps nothing of it.
	ResetTimedoutConnection bool `toml:"reset_timedout_connection" default:"false"`

	// Whether a response of unknown length is sent in chunks to clients of HTTP/1.1. Otherwise the end of the connection ends it.
	ChunkedTransferEncoding bool `toml:"chunked_transfer_encoding" default:"true"`

	// What add_header at one level does with the fields of the level around it: takes their place ("on"), takes their place also where there is none ("off"), or adds to
	// them ("merge").
	AddHeaderInherit HeaderInherit `toml:"add_header_inherit" default:"on"`

	// Whether built-in error pages (400 and more) are made longer than 512 bytes for MSIE and Chrome, which else show pages of their own.
	MSIEPadding bool `toml:"msie_padding" default:"true"`

	// Whether MSIE gets a page that takes it elsewhere in place of a redirect (301, 302).
	MSIERefresh bool `toml:"msie_refresh" default:"false"`

	// AllHeaders are AddHeader with what is inherited, as AddHeaderInherit says.
	AllHeaders []AddHeader `toml:"-"`
	// OwnHeaders are AddHeader as the level around this one has it, until this level is complete.
	OwnHeaders []AddHeader `toml:"-"`
}

// ServerTokens is what is said of weir: "on" (name and version), "off" (the name), or another text. In TOML: true, false or a string.
type ServerTokens string

// BodyInFile is the choice of client_body_in_file_only.
type BodyInFile uint8

// Choices of client_body_in_file_only.
const (
	BodyInFileOff BodyInFile = iota
	BodyInFileOn
	BodyInFileClean
)

// HeaderInherit is the choice of add_header_inherit.
type HeaderInherit uint8

// Choices of add_header_inherit.
const (
	InheritOn HeaderInherit = iota
	InheritOff
	InheritMerge
)
