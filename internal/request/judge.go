// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"weir/internal/access"
	"weir/internal/http1"
	"weir/internal/lookup"
	"weir/internal/route"
	"weir/internal/vars"
)

// Judge is what a location's variables judge its requests by: valid_referers, secure_link, modern_browser and ancient_browser.
type Judge struct {
	Referers *route.Referers // nil: every one is valid
	// Link and Expression are secure_link and secure_link_md5; both may be nil. Secret is secure_link_secret.
	Link, Expression *vars.Template
	Secret           string

	Browsers *lookup.Browsers // modern_browser and ancient_browser
	// ModernValue and AncientValue are modern_browser_value and ancient_browser_value.
	ModernValue, AncientValue string
}

// noBrowsers is what holds where nothing is said of browsers: all are ancient.
var noBrowsers = &Judge{Browsers: new(lookup.Browsers), AncientValue: "1"} // read-only

// addJudge adds the variables that judge a request.
func (t *variables) addJudge() {
	t[vars.InvalidReferer] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		if j := r.loc.Judge; j == nil || j.Referers == nil || r.refererValid(j.Referers) {
			return dst, true
		}
		return append(dst, '1'), true
	}
	t[vars.SecureLink] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		if r.loc.Judge == nil {
			return dst, false
		}
		return r.appendSecureLink(dst, r.loc.Judge)
	}
	t[vars.SecureLinkExpires] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		j := r.loc.Judge
		if j == nil || j.Link == nil {
			return dst, false
		}
		from := len(dst)
		dst = j.Link.Append(dst, r)
		_, expires := access.SplitLink(dst[from:])
		return append(dst[:from], expires...), expires != nil
	}
	t[vars.ModernBrowser] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		if j := r.browserJudge(); j.Browsers.Modern(r.agent()) {
			dst = append(dst, j.ModernValue...)
		}
		return dst, true
	}
	t[vars.AncientBrowser] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		if j := r.browserJudge(); !j.Browsers.Modern(r.agent()) {
			dst = append(dst, j.AncientValue...)
		}
		return dst, true
	}
	t[vars.MSIE] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		if lookup.IsMSIE(r.agent()) {
			dst = append(dst, '1')
		}
		return dst, true
	}
}

func (r *Request) browserJudge() *Judge {
	if r.loc.Judge == nil {
		return noBrowsers
	}
	return r.loc.Judge
}

// agent is the field User-Agent; nil: there is none.
func (r *Request) agent() []byte { return r.fieldText(http1.FieldUserAgent) }

// fieldText is the value of a field; nil: there is none.
func (r *Request) fieldText(id http1.FieldID) []byte {
	i := r.head.Lookup(id)
	if i < 0 {
		return nil
	}
	return r.headOf(r.head.Fields[i].Value)
}

func (r *Request) refererValid(referers *route.Referers) bool {
	value := r.fieldText(http1.FieldReferer)
	return referers.Valid(value, value != nil)
}

// appendSecureLink appends what is to be thought of the link that the request is for.
func (r *Request) appendSecureLink(dst []byte, j *Judge) ([]byte, bool) {
	from := len(dst)
	switch {
	case j.Secret != "":
		dst, _ = r.AppendVariable(dst, vars.RequestURI, "")
		link, ok := access.OldLink(dst[from:], j.Secret)
		return append(dst[:from], link...), ok
	case j.Link == nil:
		return dst, false
	}
	dst = j.Link.Append(dst, r)
	middle := len(dst)
	dst = j.Expression.Append(dst, r)
	sum, expires := access.SplitLink(dst[from:middle])
	ok, valid := access.CheckLink(sum, expires, dst[middle:], r.engine.Clock.Unix())
	switch dst = dst[:from]; {
	case !ok:
		return dst, false
	case valid:
		return append(dst, '1'), true
	}
	return append(dst, '0'), true
}
