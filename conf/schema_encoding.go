// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

// EncodingSettings are the settings of how answers are written: compressed, and in which charset.
type EncodingSettings struct {
	// Whether answers are compressed for clients that take gzip: those with the codes 200, 403 and 404 that are not encoded already.
	Gzip bool `toml:"gzip" default:"false"`

	// Content types that are compressed, besides text/html; "*": all.
	GzipTypes []string `toml:"gzip_types" default:"['text/html']"`

	// The least length of an answer that is compressed, where it is known.
	GzipMinLength Size `toml:"gzip_min_length" default:"20" max:"1g"`

	// How much work compressing is: from 1, fast, to 9, small.
	GzipCompLevel int `toml:"gzip_comp_level" default:"1" min:"1" max:"9"`

	// The least HTTP version of requests whose answers are compressed.
	GzipHTTPVersion HTTPVersion `toml:"gzip_http_version" default:"1.1"`

	// Answers to proxies (requests with the field Via) that are compressed: "off", "any", or some of "expired", "no-cache", "no-store", "private",
	// "no_last_modified", "no_etag", "auth".
	GzipProxied []string `toml:"gzip_proxied" default:"['off']"`

	// Whether answers that are compressed for some clients say so to caches: "Vary: Accept-Encoding".
	GzipVary bool `toml:"gzip_vary" default:"false"`

	// Regular expressions for User-Agent, without regard to letter case: whom they fit gets nothing compressed.
	GzipDisable []string `toml:"gzip_disable" example:"['msie6']"`

	// Whether a file "x.gz" is sent in the place of the file "x" to clients that take gzip: "on", or to all ("always").
	GzipStatic GzipStatic `toml:"gzip_static" default:"off"`

	// Charset that is added to Content-Type; answers in another (source_charset, or what their Content-Type says) are recoded to it by a charset_map. May have variables. "off": none.
	Charset Template `toml:"charset" default:"off" example:"utf-8"`

	// Content types that it is added to, besides text/html; "*": all.
	CharsetTypes []string `toml:"charset_types" default:"['text/html', 'text/xml', 'text/plain', 'text/vnd.wap.wml', 'application/javascript', 'application/rss+xml']"`

	// Charset of answers whose Content-Type names none. May have variables. "off": not known, nothing is recoded.
	SourceCharset Template `toml:"source_charset" default:"off" example:"koi8-r"`

	// Whether answers of origins whose Content-Type names a charset are recoded too.
	OverrideCharset bool `toml:"override_charset" default:"false"`
}

// GzipStatic is the choice of gzip_static.
type GzipStatic uint8

// Choices of gzip_static.
const (
	GzipStaticOff GzipStatic = iota
	GzipStaticOn
	GzipStaticAlways
)

func (GzipStatic) names() []string { return []string{"off", "on", "always"} }

// String is the choice as written.
func (g GzipStatic) String() string { return g.names()[g] }
