// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"bytes"
	"strings"

	"weir/internal/filter"
	"weir/internal/http1"
	"weir/internal/static"
	"weir/internal/vars"
)

// Charset is which charset answers have, and which they get.
type Charset struct {
	Name     *vars.Template  // charset; nil: off
	Source   *vars.Template  // source_charset; nil: off
	Override bool            // override_charset
	Types    *static.TypeSet // charset_types, text/html with them
}

// Charsets are the charsets that the config names, and how those become others for which it has a charset_map. Names are in lower case.
type Charsets struct {
	Known map[string][]byte              // as the config spells it first
	Maps  map[[2]string]*filter.Recoding // from, to
}

// charset is what becomes of a Content-Type.
type charset struct {
	changed bool
	base    int    // how much of it stays
	name    []byte // the charset that is added; none: none is
}

// recode decides about the charset of an answer with a content type. nginx: ngx_http_charset_header_filter.
func (r *Request) recode(conf *Charset, c *content) {
	base, own := cutCharset(c.contentType)
	to, known := r.targetCharset(conf, c.contentType, own)
	if to == nil {
		return
	}
	set := charset{changed: true, base: base, name: to}
	if r.status == 301 || r.status == 302 {
		set.name = nil // as nginx, for browsers of long ago
	}
	from := own
	if len(from) == 0 && conf != nil && conf.Source != nil {
		if from = r.render(conf.Source); string(from) == "off" {
			from = nil
		}
	}
	switch table := r.recoding(from, to); {
	case len(from) == 0:
		r.out.charset = set
	case bytes.EqualFold(from, to):
		if known || len(own) == 0 {
			r.out.charset = set
		}
	case len(c.encoding) > 0:
	case table == nil:
		r.logError(`no "charset_map" between the charsets "` + string(from) + `" and "` + string(to) + `"`)
	default:
		r.out.charset = set
		r.out.unsized = r.out.unsized || !table.Sized
		if r.methodID != http1.MethodHead {
			r.encoder().Recode(table)
		}
	}
}

// targetCharset is the charset that an answer gets, whose type names one, or not; nil: it stays as it is. known: the config has it.
func (r *Request) targetCharset(conf *Charset, contentType, own []byte) (name []byte, known bool) {
	if len(contentType) == 0 {
		return nil, false
	}
	if wanted := r.accelCharset(); len(wanted) > 0 {
		if name = r.engine.Charsets.known(wanted); name == nil {
			r.logError(`unknown charset "` + string(wanted) + `" to override`)
		}
		return name, name != nil
	}
	if conf == nil || conf.Name == nil || len(own) > 0 && !conf.Override || len(own) == 0 && !conf.Types.Has(contentType) {
		return nil, false
	}
	name = r.render(conf.Name)
	if clean(name); len(name) == 0 || string(name) == "off" {
		return nil, false
	}
	if known := r.engine.Charsets.known(name); known != nil {
		return known, true
	}
	return name, false
}

// accelCharset is the charset that the origin wants its answer to have; nil: none.
func (r *Request) accelCharset() []byte {
	if r.up.text == nil || r.loc.Proxy == nil || r.loc.Proxy.IgnoreCharset {
		return nil
	}
	return r.originField(http1.FieldXAccelCharset)
}

// known is a charset as the config spells it; nil: it does not name it.
func (c *Charsets) known(name []byte) []byte {
	if c == nil {
		return nil
	}
	return c.Known[strings.ToLower(string(name))]
}

// recoding is how a charset becomes another; nil: there is no map.
func (r *Request) recoding(from, to []byte) *filter.Recoding {
	if len(from) == 0 || r.engine.Charsets == nil {
		return nil
	}
	return r.engine.Charsets.Maps[[2]string{strings.ToLower(string(from)), strings.ToLower(string(to))}]
}

// cutCharset finds the charset that a content type names: base is how much stands before it, own the charset.
func cutCharset(contentType []byte) (base int, own []byte) {
	for i, c := range contentType {
		if c != ';' {
			continue
		}
		rest := bytes.TrimLeft(contentType[i+1:], " ")
		if !beginsLower(rest, "charset=") {
			continue
		}
		return i, bytes.Trim(rest[len("charset="):], `"`)
	}
	return len(contentType), nil
}

// appendType appends the value of a Content-Type, with the charset that it gets.
func (o *outgoing) appendType(dst, contentType []byte) []byte {
	if !o.charset.changed {
		return append(dst, contentType...)
	}
	dst = append(dst, contentType[:o.charset.base]...)
	if len(o.charset.name) > 0 {
		dst = append(append(dst, "; charset="...), o.charset.name...)
	}
	return dst
}
