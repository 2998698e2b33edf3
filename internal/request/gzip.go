// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"bytes"
	"regexp"
	"time"

	"weir/internal/buffer"
	"weir/internal/files"
	"weir/internal/http1"
	"weir/internal/logfile"
	"weir/internal/lookup"
	"weir/internal/static"
)

// Gzip says which answers are compressed.
type Gzip struct {
	Types     *static.TypeSet // gzip_types, text/html with them
	MinLength int64           // gzip_min_length: of what has a length
	Level     int             // gzip_comp_level: 1 to 9
	Minor     uint8           // gzip_http_version: the least version of the request, as its minor number
	Proxied   Proxied         // gzip_proxied
	Vary      bool            // gzip_vary
	Disable   *regexp.Regexp  // gzip_disable: of User-Agent; nil: none
	// DisableMSIE6 is msie6 of gzip_disable.
	DisableMSIE6 bool
}

// Proxied is a set of conditions under which a request that has come by a proxy (it has the field Via) is answered with gzip.
type Proxied uint16

// The conditions of gzip_proxied. None of them is "off".
const (
	ProxiedExpired Proxied = 1 << iota
	ProxiedNoCache
	ProxiedNoStore
	ProxiedPrivate
	ProxiedNoLastModified
	ProxiedNoETag
	ProxiedAuth
	ProxiedAny
)

// Fields of compressed answers, and of those that could be.
const (
	varyLine    = "Vary: Accept-Encoding\r\n"
	chunkedLine = "Transfer-Encoding: chunked\r\n"
)

// decideGzip decides whether an answer with a type and a length, negative if it is not known, and r.status, is compressed. The location has gzip.
func (r *Request) decideGzip(contentType []byte, length int64) {
	g := r.loc.Filters.Gzip
	switch r.status {
	case 200, 403, 404:
	default:
		return
	}
	if !r.couldGzip(contentType, length) || !r.takesGzip(g) {
		return
	}
	if r.methodID != http1.MethodHead && !r.encoder().Gzip(g.Level) {
		r.engine.Log.Limited("gzip", logfile.LevelWarn, "all compressors are in use: answers go out uncompressed")
		if r.out.encoder.Idle() {
			r.dropEncoder()
		}
		return
	}
	o := &r.out
	o.gzip, o.unsized, o.weak = true, true, true
	o.dropped.Add(http1.FieldAcceptRanges)
}

// couldGzip says whether an answer with a type and a length is compressed for a client that takes gzip.
func (r *Request) couldGzip(contentType []byte, length int64) bool {
	g := r.loc.Filters.Gzip
	if length >= 0 && length < g.MinLength || !g.Types.Has(contentType) || length == 0 {
		return false
	}
	r.out.vary = g.Vary
	return true
}

// takesGzip says whether the client takes gzip, and is to have it: ngx_http_gzip_ok.
func (r *Request) takesGzip(g *Gzip) bool {
	field := r.listOf(http1.FieldAcceptEncoding)
	if field == nil || r.head.Minor < g.Minor || !static.AcceptsGzip(field) {
		return false
	}
	if g.Disable != nil && g.Disable.Match(r.fieldOf(http1.FieldUserAgent)) || g.DisableMSIE6 && lookup.IsMSIE6(r.fieldOf(http1.FieldUserAgent)) {
		return false
	}
	return r.fieldOf(http1.FieldVia) == nil || r.proxiedGzip(g.Proxied)
}

// proxiedGzip says whether the answer to a proxy may be compressed.
func (r *Request) proxiedGzip(p Proxied) bool {
	switch {
	case p == 0:
		return false
	case p&ProxiedAny != 0, p&ProxiedAuth != 0 && r.fieldOf(http1.FieldAuthorization) != nil:
		return true
	}
	expires, control := r.keeping()
	if expires != nil {
		if p&ProxiedExpired == 0 {
			return false
		}
		t, ok := static.ParseDate(expires)
		return ok && t < r.engine.Clock.Unix()
	}
	if control != nil {
		return p&ProxiedNoCache != 0 && hasWord(control, "no-cache") || p&ProxiedNoStore != 0 && hasWord(control, "no-store") ||
			p&ProxiedPrivate != 0 && hasWord(control, "private")
	}
	tagged := r.answerPage.file && r.file.etagLen > 0 || r.originField(http1.FieldETag) != nil
	return !(p&ProxiedNoLastModified != 0 && r.modifiedSec() >= 0) && !(p&ProxiedNoETag != 0 && tagged)
}

// keeping are the values of the answer's Expires and Cache-Control; nil: it has none.
func (r *Request) keeping() (expires, control []byte) {
	if e := r.expires(); e.Kind != static.ExpiresOff {
		lines := bytes.Split(e.Append(nil, r.engine.Clock.Unix(), r.modifiedSec(), time.Local), []byte("\r\n"))
		return lines[0][len("Expires: "):], lines[1][len("Cache-Control: "):]
	}
	return r.originField(http1.FieldExpires), r.originField(http1.FieldCacheControl)
}

// originField is the value of a field of the origin's response; nil: there is none.
func (r *Request) originField(id http1.FieldID) []byte {
	if r.up.text == nil {
		return nil
	}
	i := r.up.head.Lookup(id)
	if i < 0 {
		return nil
	}
	return r.up.head.Fields[i].Value.Of(r.up.text)
}

// hasWord says whether a list has a word of lower case in it.
func hasWord(list []byte, word string) bool {
	for len(list) > 0 {
		var one []byte
		one, list, _ = bytes.Cut(list, comma)
		if equalLower(bytes.TrimSpace(one), word) {
			return true
		}
	}
	return false
}

var comma = []byte(",") // read-only

// noTransform says whether the origin forbids to change its answer (RFC 9111 section 5.2.2.6).
func (r *Request) noTransform() bool {
	h := &r.up.head
	first := h.Lookup(http1.FieldCacheControl)
	for i := first; i >= 0 && i < len(h.Fields); i++ {
		if h.Fields[i].ID == http1.FieldCacheControl && hasWord(h.Fields[i].Value.Of(r.up.text), "no-transform") {
			return true
		}
	}
	return false
}

// pushBody hands a body in memory to the pipe, in blocks. False: there are none.
func (r *Request) pushBody(body []byte) bool {
	for len(body) > 0 {
		b := r.engine.Pool.Acquire(buffer.ClassResponse)
		if b == nil {
			r.logShortage()
			return false
		}
		n := b.Append(body[:min(len(body), len(b.Data))])
		r.relayPipe.PushBody(b)
		body = body[n:]
	}
	return true
}

// appendGzipFields appends the fields of a compressed answer that come last.
func (r *Request) appendGzipFields(dst []byte) []byte {
	if !r.out.gzip {
		return dst
	}
	return append(dst, "Content-Encoding: gzip\r\n"...)
}

// appendWeak appends the field ETag with a tag that stands for what is no longer the same byte for byte; one that is no tag is dropped.
func appendWeak(dst, tag []byte) []byte {
	switch {
	case len(tag) > 2 && tag[0] == 'W' && tag[1] == '/':
		dst = append(dst, "ETag: "...)
	case len(tag) > 0 && tag[0] == '"':
		dst = append(dst, "ETag: W/"...)
	default:
		return dst
	}
	return append(append(dst, tag...), '\r', '\n')
}

// openPacked opens the file beside the one with a name that is gzip of it, for a client that is to have that. False: it gets the other.
func (r *Request) openPacked(name []byte) bool {
	takes := r.loc.PackedAlways || r.takesGzip(r.loc.Packed)
	if !takes && !r.loc.Packed.Vary {
		return false
	}
	name = r.arena.End(append(append(r.arena.Begin(len(name)+len(".gz")), name[:len(name)-1]...), ".gz\x00"...))
	if name == nil {
		return false
	}
	f := r.loc.Files
	file, errno := files.Open(name, f.Links, r.trusted(name))
	if errno != 0 {
		return false
	}
	if !file.IsRegular() {
		file.Close()
		return false
	}
	r.out.vary = r.loc.Packed.Vary && !r.loc.PackedAlways
	if !takes {
		file.Close()
		return false
	}
	r.file.File, r.file.open, r.file.packed = file, true, true
	return true
}
