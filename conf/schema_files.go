// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

// FileSettings are the settings of what is served from files.
type FileSettings struct {
	// Folder in which a request's path is a file, where nothing else answers. May have variables. "": no files are served, and what nothing answers
	// is 404.
	Root Template `toml:"root" as:"nginx; which has html" example:"/srv/www"`

	// Files tried, in order, for a path that ends with a slash. They may have variables; the last may be a path from the start ("/x").
	Index []Template `toml:"index" default:"['index.html']"`

	// Content-Type of files by their extension: TYPE = ["extension", ...].
	Types []MimeType `toml:"types" default:"{ 'text/html' = ['html', 'htm', 'shtml'], 'text/css' = ['css'], 'text/xml' = ['xml'], 'text/plain' = ['txt'], 'text/markdown' = ['md'], 'text/csv' = ['csv'], 'text/calendar' = ['ics'], 'text/javascript' = ['js', 'mjs'], 'application/json' = ['json', 'map'], 'application/ld+json' = ['jsonld'], 'application/manifest+json' = ['webmanifest'], 'application/atom+xml' = ['atom'], 'application/rss+xml' = ['rss'], 'application/xhtml+xml' = ['xhtml'], 'application/wasm' = ['wasm'], 'application/pdf' = ['pdf'], 'application/rtf' = ['rtf'], 'application/zip' = ['zip'], 'application/gzip' = ['gz', 'tgz'], 'application/x-7z-compressed' = ['7z'], 'application/x-bzip2' = ['bz2'], 'application/x-xz' = ['xz'], 'application/zstd' = ['zst'], 'application/x-tar' = ['tar'], 'application/java-archive' = ['jar', 'war'], 'application/vnd.ms-fontobject' = ['eot'], 'font/woff' = ['woff'], 'font/woff2' = ['woff2'], 'font/ttf' = ['ttf'], 'font/otf' = ['otf'], 'image/gif' = ['gif'], 'image/jpeg' = ['jpeg', 'jpg'], 'image/png' = ['png'], 'image/apng' = ['apng'], 'image/avif' = ['avif'], 'image/webp' = ['webp'], 'image/svg+xml' = ['svg', 'svgz'], 'image/tiff' = ['tif', 'tiff'], 'image/bmp' = ['bmp'], 'image/x-icon' = ['ico'], 'audio/midi' = ['mid', 'midi'], 'audio/mpeg' = ['mp3'], 'audio/mp4' = ['m4a'], 'audio/ogg' = ['ogg', 'oga'], 'audio/opus' = ['opus'], 'audio/wav' = ['wav'], 'audio/flac' = ['flac'], 'video/mp4' = ['mp4', 'm4v'], 'video/mpeg' = ['mpeg', 'mpg'], 'video/ogg' = ['ogv'], 'video/quicktime' = ['mov'], 'video/webm' = ['webm'], 'video/mp2t' = ['ts'], 'video/x-msvideo' = ['avi'] }" as:"weir; nginx has html, gif, jpg"`

	// Content-Type of files with other extensions, and of texts that return answers with.
	DefaultType string `toml:"default_type" default:"text/plain"`

	// Whether files have an ETag: the time of their last change and their size.
	Etag bool `toml:"etag" default:"true"`

	// How If-Modified-Since is compared with the time of a file's last change: it must be the same ("exact"), or not be earlier ("before"); or the field
	// is ignored ("off").
	IfModifiedSince ModifiedSince `toml:"if_modified_since" default:"exact"`

	// The most ranges of bytes in one request; one with more gets the whole file. 0: none are served.
	MaxRanges int `toml:"max_ranges" default:"2147483647" max:"2147483647" as:"nginx, unlimited"`

	// How long an answer may be kept, in Expires and Cache-Control: "24h", "-1", "modified 1w", "@15h30m", "epoch", "max" or "off". May be a variable.
	Expires Template `toml:"expires" default:"off"`

	// Whether a folder without an index file is shown as a list.
	Autoindex bool `toml:"autoindex" default:"false"`

	// Whether a list has sizes in bytes, or in K, M and G.
	AutoindexExactSize bool `toml:"autoindex_exact_size" default:"true"`

	// Whether a list has local times, or UTC.
	AutoindexLocaltime bool `toml:"autoindex_localtime" default:"false"`

	// The form of a list.
	AutoindexFormat IndexFormat `toml:"autoindex_format" default:"html"`

	// Whether a folder is answered with one of its files, by chance; before index is looked for.
	RandomIndex bool `toml:"random_index" default:"false"`

	// Whether a file that is not there is an error in the log.
	LogNotFound bool `toml:"log_not_found" default:"true"`

	// Whether symbolic links on the way to a file are refused: all ("on"), or those with another owner than what they lead to ("if_not_owner");
	// { mode = "on", from = "/srv/www" } looks only behind the first part of the way.
	DisableSymlinks DisableSymlinks `toml:"disable_symlinks" default:"off"`
}

// MimeType is a content type and the extensions of its files.
type MimeType struct {
	// The type.
	Type string `toml:"type" key:"true"`

	// The extensions, without the dot.
	Extensions []string `toml:"extensions" short:"true" required:"true"`
}

// DisableSymlinks is which symbolic links are refused.
type DisableSymlinks struct {
	// Which.
	Mode Symlinks `toml:"mode" short:"true" default:"off"`

	// The part of the way that may have links. May have variables.
	From Template `toml:"from" example:"/srv/www"`
}

// Symlinks is the choice of disable_symlinks.
type Symlinks uint8

// Choices of disable_symlinks.
const (
	SymlinksOff Symlinks = iota
	SymlinksOn
	SymlinksIfNotOwner
)

// ModifiedSince is the choice of if_modified_since.
type ModifiedSince uint8

// Choices of if_modified_since.
const (
	SinceExact ModifiedSince = iota
	SinceBefore
	SinceOff
)

// IndexFormat is the choice of autoindex_format.
type IndexFormat uint8

// Choices of autoindex_format.
const (
	IndexHTML IndexFormat = iota
	IndexJSON
	IndexJSONP
	IndexXML
)

func (Symlinks) names() []string      { return []string{"off", "on", "if_not_owner"} }
func (ModifiedSince) names() []string { return []string{"exact", "before", "off"} }
func (IndexFormat) names() []string   { return []string{"html", "json", "jsonp", "xml"} }

// String is the choice as written.
func (s Symlinks) String() string { return s.names()[s] }

// String is the choice as written.
func (s ModifiedSince) String() string { return s.names()[s] }

// String is the choice as written.
func (f IndexFormat) String() string { return f.names()[f] }
