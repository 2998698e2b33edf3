// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

// What TestDefaults and TestEverySettingIsSet know of files and encodings.

var (
	defaultEncoding = EncodingSettings{
		SourceCharset: "off",
		GzipTypes:     []string{"text/html"}, GzipMinLength: 20, GzipCompLevel: 1, GzipHTTPVersion: HTTP11, GzipProxied: []string{"off"}, Charset: "off",
		CharsetTypes: []string{"text/html", "text/xml", "text/plain", "text/vnd.wap.wml", "application/javascript", "application/rss+xml"},
	}
	defaultFiles = FileSettings{
		Index: []Template{"index.html"}, DefaultType: "text/plain", Etag: true, MaxRanges: 1<<31 - 1, Expires: "off", AutoindexExactSize: true, LogNotFound: true,
	}
)

// everyFileSetting has none of the settings at its default.
const everyFileSetting = `gzip = true
gzip_types = ["a/b", "*"]
gzip_min_length = 1
gzip_comp_level = 9
gzip_http_version = "1.0"
gzip_proxied = ["expired", "auth"]
gzip_vary = true
gzip_disable = "x"
gzip_static = "always"
charset = "utf-8"
charset_types = "a/b"
root = "/srv/www"
index = ["a.html", "b.html"]
types = { "a/b" = ["c"] }
default_type = "d/e"
etag = false
if_modified_since = "before"
max_ranges = 1
expires = "1h"
autoindex = true
autoindex_exact_size = false
autoindex_localtime = true
autoindex_format = "xml"
log_not_found = false
disable_symlinks = { mode = "on", from = "/srv" }
`
