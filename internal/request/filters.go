// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"bytes"

	"weir/internal/filter"
	"weir/internal/http1"
	"weir/internal/logfile"
	"weir/internal/static"
	"weir/internal/vars"
)

// Filters say what is changed in the bodies of answers: nginx's body filters, in its order.
type Filters struct {
	Gunzip   *Gzip     // gunzip: who takes no gzip; nil: nothing is unpacked
	Addition *Addition // nil: nothing is added
	Sub      *Sub      // sub_filter; nil: nothing is replaced
	Charset  *Charset  // charset and source_charset; nil: neither
	Gzip     *Gzip     // which answers are compressed; nil: none
}

// content is what filters go by, besides the status.
type content struct {
	contentType []byte // with its parameters; empty: none
	encoding    []byte // Content-Encoding
	length      int64  // negative: not known
	fixed       bool   // it is not to be compressed
}

// filter decides what becomes of an answer with r.status and a body, also where the client gets only its head.
func (r *Request) filter(c content) {
	f := r.loc.Filters
	if r.sub != nil {
		return
	}
	if f == nil {
		r.recode(nil, &c)
		return
	}
	if f.Gunzip != nil && equalLower(c.encoding, "gzip") {
		r.gunzip(f.Gunzip, &c)
	}
	if f.Addition != nil && r.status == 200 && f.Addition.Types.Has(c.contentType) {
		o := &r.out
		o.added, o.unsized, o.weak = true, true, true
		o.dropped.Add(http1.FieldAcceptRanges)
	}
	if f.Sub != nil && c.length != 0 && f.Sub.Types.Has(c.contentType) {
		r.substitute(f.Sub)
	}
	r.recode(f.Charset, &c)
	if f.Gzip != nil && len(c.encoding) == 0 && !c.fixed {
		r.decideGzip(c.contentType, c.length)
	}
}

// filterResponse decides what becomes of a response of the origin's, which has a body of a kind.
func (r *Request) filterResponse(kind http1.BodyKind) {
	r.newOut()
	if (r.loc.Filters != nil || r.accelCharset() != nil) && (kind != http1.BodyNone || r.methodID == http1.MethodHead) {
		c := content{contentType: r.originField(http1.FieldContentType), encoding: r.originField(http1.FieldContentEncoding), length: -1, fixed: r.noTransform()}
		if kind == http1.BodyLength {
			c.length = r.up.head.ContentLength
		}
		r.filter(c)
	}
	if kind == http1.BodyChunked || kind == http1.BodyUntilClose {
		r.out.unsized = true
	}
}

// gunzip has a body unpacked for a client that does not take gzip.
func (r *Request) gunzip(g *Gzip, c *content) {
	o := &r.out
	o.vary = g.Vary
	if r.takesGzip(g) {
		return
	}
	if r.methodID != http1.MethodHead && !r.encoder().Gunzip() {
		r.engine.Log.Limited("gunzip", logfile.LevelWarn, "too many answers are being unpacked: one goes out as gzip to a client that does not take it")
		r.dropEncoder()
		return
	}
	c.encoding, c.length = nil, -1
	o.unsized, o.weak = true, true
	o.dropped.Add(http1.FieldContentEncoding)
	o.dropped.Add(http1.FieldAcceptRanges)
}

// Sub is sub_filter: what is replaced in answers.
type Sub struct {
	Types        *static.TypeSet // sub_filter_types
	Texts        []*vars.Template
	With         []*vars.Template
	Once         bool // sub_filter_once
	LastModified bool // sub_filter_last_modified
	// Constant is all of it, where nothing has variables; its Patterns are nil otherwise.
	Constant filter.Replacing
}

// substitute has texts of the body replaced.
func (r *Request) substitute(s *Sub) {
	replacing := s.Constant
	if replacing.Patterns == nil {
		if replacing = r.replacing(s); replacing.Patterns == nil {
			return
		}
	}
	if r.methodID != http1.MethodHead {
		r.encoder().Sub(replacing)
	}
	r.remade(s.LastModified)
}

// remade notes that the answer's body is another one. keepDate: but as old.
func (r *Request) remade(keepDate bool) {
	o := &r.out
	o.unsized, o.weak = true, true
	if !keepDate {
		o.dropped.Add(http1.FieldLastModified)
		o.dropped.Add(http1.FieldETag)
	}
}

// replacing works out what is replaced, and by what. No patterns: nothing is. None of it is in the arena: the thread that compresses may still replace when the request is over.
func (r *Request) replacing(s *Sub) filter.Replacing {
	replacing := filter.Replacing{Once: s.Once}
	var texts [][]byte
	for i, t := range s.Texts {
		switch text := r.render(t); {
		case len(text) > filter.PatternMax:
			r.logError("a text that sub_filter is to look for is too long")
		case len(text) > 0:
			texts = append(texts, text)
			replacing.With = append(replacing.With, bytes.Clone(r.renderScratch(s.With[i])))
		}
	}
	if len(texts) > 0 {
		replacing.Patterns = filter.NewPatterns(texts)
	}
	return replacing
}
