// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package worker

import (
	"regexp"
	"strings"

	"weir/conf"
	"weir/internal/budget"
	"weir/internal/compress"
	"weir/internal/request"
	"weir/internal/static"
)

// encoders are the compressors of the worker, with a thread of their own; nil where nothing is compressed.
func (w *worker) encoders() *compress.Pool {
	n := budget.Encoders(w.config)
	if n == 0 {
		return nil
	}
	return compress.NewPool(n, w.calls.NewThread())
}

// proxied are the conditions of gzip_proxied by their names. Read-only.
var proxied = map[string]request.Proxied{
	"expired": request.ProxiedExpired, "no-cache": request.ProxiedNoCache, "no-store": request.ProxiedNoStore, "private": request.ProxiedPrivate,
	"no_last_modified": request.ProxiedNoLastModified, "no_etag": request.ProxiedNoETag, "auth": request.ProxiedAuth, "any": request.ProxiedAny,
}

// encoding sets which answers of a location are compressed, and their charset.
func (b *builder) encoding(l *request.Location, c *conf.Settings) error {
	if c.Gzip || c.GzipStatic != conf.GzipStaticOff {
		g := &request.Gzip{
			Types: static.NewTypeSet(lower(c.GzipTypes)), MinLength: int64(c.GzipMinLength), Level: c.GzipCompLevel, Minor: uint8(c.GzipHTTPVersion), Vary: c.GzipVary,
		}
		for _, name := range c.GzipProxied {
			g.Proxied |= proxied[name]
		}
		if len(c.GzipDisable) > 0 {
			var err error
			if g.Disable, err = disabled(c.GzipDisable); err != nil {
				return err
			}
		}
		if c.Gzip {
			l.Gzip = g
		}
		if l.Packed = g; c.GzipStatic == conf.GzipStaticOff {
			l.Packed = nil
		}
		l.PackedAlways = c.GzipStatic == conf.GzipStaticAlways
	}
	if c.Charset == "off" {
		return nil
	}
	t, err := b.compile(string(c.Charset))
	l.Charset = &request.Charset{Name: t, Types: static.NewTypeSet(lower(c.CharsetTypes))}
	return err
}

// lower are the types of a list, and text/html, in lower case.
func lower(types []string) []string {
	all := []string{"text/html"}
	for _, t := range types {
		all = append(all, strings.ToLower(t))
	}
	return all
}

// disabled is one expression for all of gzip_disable. The name msie6 stands for what nginx means by it.
func disabled(list []string) (*regexp.Regexp, error) {
	var all []string
	for _, text := range list {
		if text == "msie6" {
			text = `MSIE [4-6]\.`
		}
		all = append(all, "(?:"+text+")")
	}
	return regexp.Compile("(?i)" + strings.Join(all, "|"))
}
