// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package worker

import (
	"regexp"
	"slices"
	"strings"

	"weir/conf"
	"weir/internal/budget"
	"weir/internal/filter"
	"weir/internal/request"
	"weir/internal/static"
)

// filters are what changes bodies, with a thread of their own; nil where nothing is changed.
func (w *worker) filters() *filter.Pool {
	if !budget.Filters(w.config) {
		return nil
	}
	return filter.NewPool(filter.Limits{Gzip: budget.Encoders(w.config), Gunzip: budget.Decoders(w.config)}, w.calls.NewThread())
}

// proxied are the conditions of gzip_proxied by their names. Read-only.
var proxied = map[string]request.Proxied{
	"expired": request.ProxiedExpired, "no-cache": request.ProxiedNoCache, "no-store": request.ProxiedNoStore, "private": request.ProxiedPrivate,
	"no_last_modified": request.ProxiedNoLastModified, "no_etag": request.ProxiedNoETag, "auth": request.ProxiedAuth, "any": request.ProxiedAny,
}

// filtering sets what is changed in the answers of a location.
func (b *builder) filtering(l *request.Location, c *conf.Settings) error {
	g, err := gzip(c)
	if err != nil {
		return err
	}
	if c.GzipStatic != conf.GzipStaticOff {
		l.Packed, l.PackedAlways = g, c.GzipStatic == conf.GzipStaticAlways
	}
	var f request.Filters
	if c.Gzip {
		f.Gzip = g
	}
	if c.Gunzip {
		f.Gunzip = g
	}
	if c.AddBeforeBody != "" || c.AddAfterBody != "" {
		f.Addition = &request.Addition{URIs: [2][]byte{[]byte(c.AddBeforeBody), []byte(c.AddAfterBody)}, Types: static.NewTypeSet(lower(c.AdditionTypes))}
	}
	if f.Sub, err = b.sub(&c.FilterSettings); err != nil {
		return err
	}
	if f.Charset, err = b.charset(c); err != nil {
		return err
	}
	if f != (request.Filters{}) {
		l.Filters = &f
	}
	return nil
}

// gzip makes the conditions under which answers are gzip; nil where none is.
func gzip(c *conf.Settings) (*request.Gzip, error) {
	if !c.Gzip && !c.Gunzip && c.GzipStatic == conf.GzipStaticOff {
		return nil, nil
	}
	g := &request.Gzip{
		Types: static.NewTypeSet(lower(c.GzipTypes)), MinLength: int64(c.GzipMinLength), Level: c.GzipCompLevel, Minor: uint8(c.GzipHTTPVersion), Vary: c.GzipVary,
	}
	for _, name := range c.GzipProxied {
		g.Proxied |= proxied[name]
	}
	if slices.Contains(c.GzipProxied, "off") { // as with nginx, whatever stands beside it
		g.Proxied = 0
	}
	var err error
	if len(c.GzipDisable) > 0 {
		g.DisableMSIE6 = slices.Contains(c.GzipDisable, "msie6")
		g.Disable, err = disabled(c.GzipDisable)
	}
	return g, err
}

// lower are the types of a list, and text/html, in lower case.
func lower(types []string) []string {
	all := []string{"text/html"}
	for _, t := range types {
		all = append(all, strings.ToLower(t))
	}
	return all
}

// disabled is one expression for all of gzip_disable but the name msie6; nil: there is none.
func disabled(list []string) (*regexp.Regexp, error) {
	var all []string
	for _, text := range list {
		if text != "msie6" {
			all = append(all, "(?:"+text+")")
		}
	}
	if all == nil {
		return nil, nil
	}
	return regexp.Compile("(?i)" + strings.Join(all, "|"))
}
