// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	"math/bits"
	"slices"
	"strings"

	"weir/internal/route"
	"weir/internal/vars"
)

// checker finds the faults that single values do not show: references, duplicates, values that do not go together. It blames only what
// is written: a value that a level inherits is checked where it comes from.
type checker struct {
	*decoder
	cfg    *Config
	groups map[string]int // indexes in HTTP.Upstreams, by name in lower case: as with nginx, case says nothing
	zones  map[string]int // indexes in HTTP.LimitConnZones
	rates  map[string]int // indexes in HTTP.LimitReqZones
}

// templateUse is a template and where it is written.
type templateUse struct {
	n    *node
	p    *path
	text string
}

func (k *checker) check() {
	k.checkBuffers()
	k.checkMainErrorLog()
	k.checkFormats()
	http := (*path)(nil).key("http")
	k.checkZones(http.key("limit_conn_zone"))
	k.checkRateZones(http.key("limit_req_zone"))
	k.checkCharsetMaps(http.key("charset_map"))
	k.checkLookups(http)
	k.checkSettings(http, &k.cfg.HTTP.Settings, nil)
	for i := range k.cfg.HTTP.Upstreams {
		u := &k.cfg.HTTP.Upstreams[i]
		k.checkUpstream(k.entry(http.key("upstream"), u.Name, i), u)
		k.groups[strings.ToLower(u.Name)] = i
	}
	for i := range k.cfg.HTTP.Servers {
		k.checkServer(http.key("server").at(i), &k.cfg.HTTP.Servers[i])
	}
	if len(k.cfg.HTTP.Servers) == 0 {
		k.warnAt(http.key("server"), "there is none, so there is nothing to listen on")
	}
	k.checkListeners()
	for _, t := range k.templates { // last: the servers' regular expressions name variables
		if _, err := k.variables.Compile(t.text); err != nil {
			k.fault(t.n, t.p, "%v", err)
		}
	}
	k.cfg.Variables = k.variables
}

// written says whether a key is written at a level, and so not inherited.
func (k *checker) written(p *path) bool {
	_, ok := k.root.locate(p)
	return ok
}

// writtenKey is the path of a key that is written in the table at p; nil when it is not. A config of ten thousand servers has millions of keys that are not.
func (k *checker) writtenKey(p *path, name string) *path {
	table, ok := k.root.locate(p)
	if !ok || table.kids[name] == nil {
		return nil
	}
	return p.key(name)
}

// minBlock is the least of buffers.size.
const minBlock = 4 << 10

// checkBuffers adjusts what does not fit together, as HAProxy does, and says so.
func (k *checker) checkBuffers() {
	b := &k.cfg.Buffers
	p := (*path)(nil).key("buffers")
	if b.Size >= minBlock && b.Size&(b.Size-1) != 0 { // a smaller one is a fault already
		size := Size(1) << bits.Len64(uint64(b.Size))
		k.warnAt(p.key("size"), "%s is no power of two: %s is used", b.Size, size)
		b.Size = size
	}
	if half := b.Size / 2; b.MaxRewrite > half {
		k.warnAt(p.key("maxrewrite"), "%s is more than half of buffers.size: %s is used", b.MaxRewrite, half)
		b.MaxRewrite = half
	}
	if b.Limit > 0 && b.Limit <= b.Reserve {
		k.warnAt(p.key("limit"), "%d is no more than buffers.reserve: %d is used", b.Limit, b.Reserve+1)
		b.Limit = b.Reserve + 1
	}
}

func (k *checker) checkFormats() {
	seen := map[string]bool{vars.Combined: true}
	p := (*path)(nil).key("http").key("log_format")
	for i, f := range k.cfg.HTTP.LogFormats {
		at := p.key(f.Name)
		if !k.written(at) {
			at = p.at(i)
		}
		if seen[f.Name] {
			k.faultAt(at, "log format %s exists already", quote(f.Name))
		}
		seen[f.Name] = true
		if strings.ContainsAny(string(f.Format), "\r\n") {
			k.faultAt(at, "must be one line")
		}
	}
}

// checkSettings checks the settings written at one level. server is the server the level is in, nil for [http].
func (k *checker) checkSettings(p *path, s *Settings, server *Server) {
	if at := k.writtenKey(p, "access_log"); at != nil {
		for i := range s.AccessLogs {
			k.checkAccessLog(at.at(i), &s.AccessLogs[i])
		}
	}
	if at := k.writtenKey(p, "error_log"); at != nil {
		for i := range s.ErrorLogs {
			k.checkErrorLog(at.at(i), &s.ErrorLogs[i])
		}
	}
	k.settleBuffering(p, s)
	k.checkAccess(p, &s.AccessSettings)
	k.checkJudge(p, &s.JudgeSettings)
	k.checkResolver(p, s.Resolver)
	k.checkProxy(p, &s.ProxySettings)
	if at := k.writtenKey(p, "proxy_ignore_headers"); at != nil {
		for i, name := range s.ProxyIgnoreHeaders {
			if !slices.ContainsFunc(ignorable, func(known string) bool { return strings.EqualFold(known, name) }) {
				k.faultAt(at.at(i), "must be %s, not %s%s", alternatives(ignorable), quote(name), suggest(name, ignorable))
			}
		}
	}
	if at := k.writtenKey(p, "proxy_set_header"); at != nil {
		for i, h := range s.ProxySetHeader {
			k.checkHeader(k.entry(at, h.Name, i), h.Name, h.Value)
			if h.Value != "" && (strings.EqualFold(h.Name, "Content-Length") || strings.EqualFold(h.Name, "Transfer-Encoding")) {
				k.faultAt(k.entry(at, h.Name, i), "cannot be set: the length of a request is what was received")
			}
		}
	}
	k.checkAdded(p.key("add_header"), s.AddHeader)
	k.checkFilters(p, &s.FilterSettings)
	for _, list := range []struct {
		key   string
		names []string
	}{{"proxy_hide_header", s.ProxyHideHeader}, {"proxy_pass_header", s.ProxyPassHeader}} {
		for i, name := range list.names {
			if at := p.key(list.key).at(i); k.written(at) && !isToken(name) {
				k.faultAt(at, "%s is not the name of a header field", quote(name))
			}
		}
	}
	if at := k.writtenKey(p, "limit_conn"); at != nil {
		k.checkLimits(at, s.LimitConns)
	}
	if at := k.writtenKey(p, "limit_req"); at != nil {
		k.checkRates(at, s.LimitReqs)
	}
	k.checkFiles(p, &s.FileSettings)
	k.checkEncoding(p, &s.EncodingSettings)
	k.checkChoices(p.key("keepalive_disable"), s.KeepaliveDisable, []string{"none", "msie6", "safari"})
	if at := k.writtenKey(p, "error_page"); at != nil {
		for i := range s.ErrorPages {
			k.checkErrorPage(at.at(i), &s.ErrorPages[i], server)
		}
	}
}

// entry is the path of an entry in a table of names, or in an array.
func (k *checker) entry(p *path, name string, i int) *path {
	if at := k.writtenKey(p, name); at != nil {
		return at
	}
	return p.at(i)
}

func (k *checker) checkHeader(p *path, name string, value Template) {
	if !isToken(name) {
		k.faultAt(p, "%s is not the name of a header field", quote(name))
	}
	k.checkLine(p, value)
}

// checkLine checks a template whose value stands in a header field.
func (k *checker) checkLine(p *path, value Template) {
	for i := range len(value) {
		if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
			k.faultAt(p, "has a control character, which a header field cannot have")
			return
		}
	}
}

// isToken says whether a text is a token (RFC 9110, section 5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; (!bareByte(c) && !strings.ContainsRune("!#$%&'*+.^`|~", rune(c))) || c >= 0x80 {
			return false
		}
	}
	return s != ""
}

func (k *checker) checkErrorPage(p *path, e *ErrorPage, server *Server) {
	for i, code := range e.Codes {
		if code == 444 {
			k.faultAt(p.key("codes").at(i), "444 sends no answer")
		}
	}
	if len(e.Codes) == 0 && k.writtenKey(p, "codes") != nil {
		k.faultAt(p.key("codes"), "must not be empty")
	}
	if e.Response > 0 && e.Response < 200 {
		k.faultAt(p.key("response"), "must be -1, 0 or a code from 200 to 599, not %d", e.Response)
	}
	uri := string(e.URI)
	switch {
	case (uri == "") == (e.Text == ""):
		k.faultAt(p, "needs either the key \"uri\" or the key \"text\", not empty")
	case e.Text != "":
	case strings.HasPrefix(uri, "@"):
		if server != nil && !server.has(uri) {
			k.faultAt(p.key("uri"), "no location %s in this server", quote(uri))
		}
	default: // what is no path of this server is where the client is sent to
		k.checkLine(p.key("uri"), e.URI)
	}
}

// has says whether the server has the named location.
func (s *Server) has(name string) bool {
	for i := range s.Locations {
		if l := s.Locations[i].Path; l.Modifier == Named && l.Text == name {
			return true
		}
	}
	return false
}

func (k *checker) checkReturn(p *path, r *Return) {
	if r == nil {
		return
	}
	code, text, url := k.writtenKey(p, "code") != nil || r.Code != 0, k.writtenKey(p, "text") != nil, k.writtenKey(p, "url") != nil
	switch {
	case text && url:
		k.faultAt(p, "has both \"text\" and \"url\"")
	case !code && !url:
		k.faultAt(p, "needs the key \"code\"")
	case !code:
		r.Code = 302
	case r.IsRedirect() && !url:
		k.faultAt(p, "code %d is a redirect and needs the key \"url\"", r.Code)
	case url && !r.IsRedirect():
		k.faultAt(p.key("code"), "must be 301, 302, 303, 307 or 308 for a redirect, not %d", r.Code)
	}
	if url && r.URL == "" && !code {
		k.faultAt(p.key("url"), "must not be empty")
	}
	k.checkLine(p.key("url"), r.URL)
}

// IsRedirect says whether the code has the answer name another address, which may be empty.
func (r *Return) IsRedirect() bool {
	return r.Code == 301 || r.Code == 302 || r.Code == 303 || r.Code == 307 || r.Code == 308
}

func (k *checker) checkServerName(p *path, name string) {
	n, _ := k.root.locate(p)
	if err := route.CheckServerName(name); err != nil {
		k.fault(n, p, "%v", err)
		return
	}
	if expression, ok := strings.CutPrefix(name, "~"); ok {
		k.regex(n, p, expression, false)
	}
}
