// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package worker

import (
	"strconv"
	"strings"

	"weir/conf"
	"weir/internal/http1"
	"weir/internal/request"
	"weir/internal/vars"
)

// compile compiles a template, with the variables of the whole config: which of them have a value is known only when a request is there.
func (b *builder) compile(text string) (*vars.Template, error) {
	return b.config.Variables.Compile(text)
}

func (b *builder) compileAll(texts []conf.Template) (list []*vars.Template, err error) {
	for _, text := range texts {
		t, err := b.compile(string(text))
		if err != nil {
			return nil, err
		}
		list = append(list, t)
	}
	return list, nil
}

// browsers are those of keepalive_disable.
func browsers(names []string) (all request.Browsers) {
	for _, name := range names {
		switch name {
		case "msie6":
			all |= request.OldMSIE
		case "safari":
			all |= request.MacSafari
		}
	}
	return all
}

// location makes the settings that every location and every server has.
func (b *builder) location(c *conf.Settings) (*request.Location, error) {
	l := &request.Location{
		KeepaliveTimeoutMs: c.KeepaliveTimeout.Milliseconds(),
		KeepaliveTimeMs:    c.KeepaliveTime.Milliseconds(),
		KeepaliveRequests:  uint32(c.KeepaliveRequests),
		BodyTimeoutMs:      c.ClientBodyTimeout.Milliseconds(),
		BodyBlocks:         max(int((c.ClientBodyBufferSize+b.config.Buffers.Size-1)/b.config.Buffers.Size), 2),
		BodyBuffer:         int64(c.ClientBodyBufferSize),
		BodyFile:           request.BodyFile(c.ClientBodyInFileOnly),
		SendTimeoutMs:      c.SendTimeout.Milliseconds(),
		MaxBody:            int64(c.ClientMaxBodySize),
		Linger:             request.Linger(c.LingeringClose),
		LingerTimeMs:       c.LingeringTime.Milliseconds(),
		LingerTimeoutMs:    c.LingeringTimeout.Milliseconds(),
	}
	redirects(l, &c.RewriteSettings)
	b.clientSettings(l, c)
	var err error
	if l.AddHeaders, err = b.added(c.AllHeaders); err != nil {
		return nil, err
	}
	if l.EarlyHints, err = b.compileAll(c.EarlyHints); err != nil {
		return nil, err
	}
	if l.AddTrailers, err = b.added(c.AllTrailers); err != nil {
		return nil, err
	}
	l.RetryAfter = c.LimitRetryAfter
	l.RealIP = b.realIP(&c.AccessSettings)
	l.Mirror, l.LogSubrequest = mirror(&c.AccessSettings), c.LogSubrequest
	if l.Access, err = b.access(&c.AccessSettings); err != nil {
		return nil, err
	}
	if l.Rates, err = b.rates(c); err != nil {
		return nil, err
	}
	if l.LimitRate, err = b.size(c.LimitRate); err != nil {
		return nil, err
	}
	if l.LimitRateAfter, err = b.size(c.LimitRateAfter); err != nil {
		return nil, err
	}
	if l.Limits, err = b.settingsLimits(c); err != nil {
		return nil, err
	}
	if l.ErrorPages, err = b.errorPages(c.ErrorPages); err != nil {
		return nil, err
	}
	if l.Logs, err = b.accessLogs(c); err != nil {
		return nil, err
	}
	if l.ErrorLog, err = b.errorLog(c.ErrorLogs); err != nil {
		return nil, err
	}
	l.Types = b.types(c)
	if err = b.filtering(l, c); err != nil {
		return nil, err
	}
	if l.Expires, err = b.expires(c); err != nil {
		return nil, err
	}
	if c.Root != "" {
		l.Files, err = b.files(c, c.Root, 0)
	}
	return l, err
}

// added makes fields that are added to answers.
func (b *builder) added(list []conf.AddHeader) ([]request.AddHeader, error) {
	var fields []request.AddHeader
	for _, h := range list {
		t, err := b.compile(string(h.Value))
		if err != nil {
			return nil, err
		}
		replaces := strings.EqualFold(h.Name, "Last-Modified") || strings.EqualFold(h.Name, "ETag")
		fields = append(fields, request.AddHeader{SetHeader: request.NewSetHeader(h.Name, t), Always: h.Always, Replaces: replaces})
	}
	return fields, nil
}

// size makes a number of bytes that may depend on the request.
func (b *builder) size(c conf.SizeTemplate) (request.Size, error) {
	if n, ok := c.Fixed(); ok {
		return request.Size{Bytes: int64(n)}, nil
	}
	t, err := b.compile(string(c))
	return request.Size{Template: t}, err
}

// fullLocation is location with what only a location has.
func (b *builder) fullLocation(c *conf.Location, server *conf.Server) (*request.Location, error) {
	l, err := b.location(&c.Settings)
	if err != nil {
		return nil, err
	}
	if l.Judge, err = b.judge(&c.JudgeSettings, server); err != nil {
		return nil, err
	}
	l.Path = c.Path.Text
	l.ShutdownMs = b.shutdownMs(c)
	l.Prefix = c.Path.Modifier == conf.Prefix || c.Path.Modifier == conf.PrefixFinal || c.Path.Modifier == conf.Exact
	l.Internal = c.Internal
	if l.TryFiles, err = b.tryFiles(c.TryFiles); err != nil {
		return nil, err
	}
	if l.Rules, err = b.rules(c.Rules, c.Return, c.RewriteLog, server); err != nil {
		return nil, err
	}
	if l.Except, err = b.limitExcept(c.LimitExcept, server); err != nil {
		return nil, err
	}
	l.StubStatus, l.EmptyGIF = c.StubStatus, c.EmptyGIF
	of := c
	if c.Alias == "" {
		of = c.AliasOf
	}
	if of != nil && of.Alias != "" {
		skip := -1
		if m := of.Path.Modifier; m == conf.Prefix || m == conf.PrefixFinal || m == conf.Exact {
			skip = len(of.Path.Text)
		}
		if l.Files, err = b.files(&c.Settings, of.Alias, skip); err != nil {
			return nil, err
		}
		l.Files.Replaced = of.Path.Text
	}
	l.Page = b.page(c, server)
	if c.ProxyPass != nil {
		l.Proxy, err = b.proxy(c)
	}
	return l, err
}

func (b *builder) newReturn(c *conf.Return) (*request.Return, error) {
	r := &request.Return{Code: c.Code}
	var err error
	if c.URL != "" || c.IsRedirect() {
		if r.Code == 0 {
			r.Code = 302
		}
		r.URL, err = b.compile(string(c.URL))
	} else if c.Text != "" {
		if r.Code == 0 {
			r.Code = 200
		}
		r.Text, err = b.compile(string(c.Text))
	}
	return r, err
}

func (b *builder) errorPages(list []conf.ErrorPage) ([]request.ErrorPage, error) {
	var pages []request.ErrorPage
	for _, c := range list {
		page := request.ErrorPage{Codes: c.Codes, Response: c.Response}
		text, to := string(c.URI), &page.URI
		if c.Text != "" {
			text, to = string(c.Text), &page.Text
		}
		var err error
		if *to, err = b.compile(text); err != nil {
			return nil, err
		}
		pages = append(pages, page)
	}
	return pages, nil
}

// hiddenByDefault are the fields of an origin's response that nginx does not pass on; those that frame it are not among
// them because they are never passed on.
var hiddenByDefault = []string{"Date", "Server", "X-Pad", "X-Accel-Expires", "X-Accel-Redirect", "X-Accel-Limit-Rate",
	"X-Accel-Buffering", "X-Accel-Charset"} // read-only

func (b *builder) proxy(c *conf.Location) (*request.Proxy, error) {
	pass := c.ProxyPass
	p := &request.Proxy{
		Authority: pass.Authority, HasURI: pass.HasURI, URI: pass.URI,
		ConnectTimeoutMs: c.ProxyConnectTimeout.Milliseconds(),
		ReadTimeoutMs:    c.ProxyReadTimeout.Milliseconds(),
		SendTimeoutMs:    c.ProxySendTimeout.Milliseconds(),
		HTTP10:           c.ProxyHTTPVersion == conf.HTTP10,
		RequestBuffering: c.ProxyRequestBuffering,
		Next:             request.Next(c.ProxyNextUpstream),
		NextTries:        c.ProxyNextUpstreamTries,
		NextTimeoutMs:    c.ProxyNextUpstreamTimeout.Milliseconds(),
		InterceptErrors:  c.ProxyInterceptErrors,
		IgnoreAbort:      c.ProxyIgnoreClientAbort,
	}
	if pass.Variable {
		var err error
		if p.Target, err = b.compile(pass.Text); err != nil {
			return nil, err
		}
		p.Resolver = b.resolver(c.Resolver, c.ResolverTimeout)
	} else {
		p.Group = b.groups[pass.Group]
	}
	if err := b.buffering(p, &c.Settings); err != nil {
		return nil, err
	}
	if pass.Port != 0 {
		p.Port = strconv.Itoa(pass.Port)
	}
	headBytes := min(int(c.ProxyBufferSize), int(b.config.Buffers.Size))
	p.Limits = http1.Limits{LineBytes: headBytes, HeadBytes: headBytes, Fields: http1.DefaultLimits().Fields}
	if err := b.setHeaders(p, c.ProxySetHeader); err != nil {
		return nil, err
	}
	hideFields(p, c)
	if err := b.proxySettings(p, c); err != nil {
		return nil, err
	}
	p.Finish()
	return p, nil
}

// buffering sets how responses are buffered, and how fast they are read.
func (b *builder) buffering(p *request.Proxy, c *conf.Settings) error {
	sizes := c.Buffering()
	p.Buffering = c.ProxyBuffering
	p.Blocks = max(int(sizes.BytesInMemory/b.config.Buffers.Size), 2)
	p.BusyBytes, p.FirstPartBytes = int(sizes.Busy), int(sizes.FirstPart)
	p.SpillMax, p.SpillWrite = int64(sizes.MaxTempFile), int(sizes.TempWrite)
	for _, name := range c.ProxyIgnoreHeaders {
		switch http1.FieldByName([]byte(name)) {
		case http1.FieldXAccelBuffering:
			p.IgnoreBuffering = true
		case http1.FieldXAccelLimitRate:
			p.IgnoreLimitRate = true
		case http1.FieldXAccelRedirect:
			p.IgnoreRedirect = true
		case http1.FieldXAccelCharset:
			p.IgnoreCharset = true
		}
	}
	var err error
	p.LimitRate, err = b.size(c.ProxyLimitRate)
	return err
}

func (b *builder) setHeaders(p *request.Proxy, list []conf.Header) error {
	for _, h := range list {
		t, err := b.compile(string(h.Value))
		if err != nil {
			return err
		}
		p.SetHeaders = append(p.SetHeaders, request.NewSetHeader(h.Name, t))
		switch id := http1.FieldByName([]byte(h.Name)); id {
		case http1.FieldOther:
			p.OverriddenOther = append(p.OverriddenOther, strings.ToLower(h.Name))
		case http1.FieldConnection:
			p.SetsConnection = true
			p.AsksToKeep = strings.EqualFold(string(h.Value), "keep-alive")
		case http1.FieldUpgrade:
			p.SetsUpgrade = true
		default:
			p.Overridden.Add(id)
		}
	}
	return nil
}

// hideFields works out which fields of a response are not passed on: the default ones and those of proxy_hide_header, less
// those of proxy_pass_header.
func hideFields(p *request.Proxy, c *conf.Location) {
	pass := map[string]bool{}
	for _, name := range c.ProxyPassHeader {
		pass[strings.ToLower(name)] = true
	}
	p.PassDate, p.PassServer = pass["date"], pass["server"]
	hide := append(append([]string(nil), hiddenByDefault...), c.ProxyHideHeader...)
	for _, name := range hide {
		lower := strings.ToLower(name)
		if pass[lower] || lower == "content-length" { // what frames the answer is said whatever is hidden, as in nginx
			continue
		}
		if id := http1.FieldByName([]byte(lower)); id != http1.FieldOther {
			p.Hidden.Add(id)
		} else {
			p.HiddenOther = append(p.HiddenOther, lower)
		}
	}
}
