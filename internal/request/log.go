// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"strings"

	"go.uber.org/zap"

	"weir/internal/logfile"
	"weir/internal/vars"
)

// errorLog is where lines about the request go.
func (r *Request) errorLog() *logfile.ErrorLog {
	switch {
	case r.loc != nil && r.loc.ErrorLog != nil:
		return r.loc.ErrorLog
	case r.loc == nil && r.server != nil && r.server.Default.ErrorLog != nil:
		return r.server.Default.ErrorLog
	}
	return r.engine.Log
}

// logElsewhere writes the request's line to a log that is not a file open already.
func (r *Request) logElsewhere(l *Log) {
	if l.Syslog != nil {
		l.Syslog.Send(l.Template.Append(l.Syslog.Begin(r.engine.Clock.Unix()), r))
		return
	}
	text, _ := r.AppendVariable(r.engine.takeScratch(), vars.DocumentRoot, "")
	root := len(text)
	text = l.Path.Append(text, r)
	path := len(text)
	text = l.Template.Append(text, r)
	l.Files.Write(text[:root], text[root:path], text[path:], l.Cache)
	r.engine.putScratch(text)
}

// logFields are what every line of the error log says about a request.
func (r *Request) logFields() []zap.Field {
	fields := []zap.Field{
		zap.Uint64("connection", r.client.Serial),
		zap.ByteString("client", r.client.PeerText()),
		zap.String("server", r.server.Name),
	}
	if line, ok := r.appendRequestLine(nil); ok {
		fields = append(fields, zap.ByteString("request", line))
	}
	if r.sub != nil {
		fields = append(fields, zap.ByteString("subrequest", r.path))
	}
	if host, ok := r.AppendVariable(nil, vars.HTTPField, "host"); ok && r.status != 400 {
		fields = append(fields, zap.ByteString("host", host))
	}
	if r.errorLog().Nginx() {
		if referrer, ok := r.AppendVariable(nil, vars.HTTPField, "referer"); ok {
			fields = append(fields, zap.ByteString("referrer", referrer))
		}
	}
	return fields
}

// logInfo is about what the client did.
func (r *Request) logInfo(message string) { r.logAt(logfile.LevelInfo, message) }

// logNotice is about what rules do, with rewrite_log.
func (r *Request) logNotice(message string, more ...zap.Field) {
	r.logAt(logfile.LevelNotice, message, more...)
}

func (r *Request) logAt(level logfile.Level, message string, more ...zap.Field) {
	if r.errorLog().Enabled(level) {
		r.errorLog().Log(level, message, append(r.logFields(), more...)...)
	}
}

// logShortage says that buffers.limit has stopped something that cannot wait for a block.
func (r *Request) logShortage() {
	r.engine.Log.Limited("buffers", logfile.LevelCrit, "no buffer is free (buffers.limit)", zap.Int("blocks", r.engine.Pool.Stats().Limit))
}

// logError is about what this process cannot do for the request.
func (r *Request) logError(message string, more ...zap.Field) {
	if r.errorLog().Enabled(logfile.LevelError) {
		r.errorLog().Error(message, append(r.logFields(), more...)...)
	}
}

// logOrigin is about what the origin of the present attempt did.
func (r *Request) logOrigin(message string, more ...zap.Field) {
	r.logOriginAt(logfile.LevelError, message, more...)
}

func (r *Request) logOriginAt(level logfile.Level, message string, more ...zap.Field) {
	if !r.errorLog().Enabled(level) {
		return
	}
	fields := append(r.logFields(), more...)
	if r.up.peer != nil {
		fields = append(fields, r.upstreamField(r.up.peer.Name))
	}
	r.errorLog().Log(level, message, fields...)
}

// upstreamField names who was asked; in nginx's form, and for what.
func (r *Request) upstreamField(name string) zap.Field {
	if !r.errorLog().Nginx() {
		return zap.String("upstream", name)
	}
	url := append([]byte("http://"), name...)
	if strings.HasPrefix(name, "unix:") {
		url = append(url, ':')
	}
	return zap.ByteString("upstream", r.appendTarget(url))
}

// doing is what a request with an origin is about, in nginx's words.
func (r *Request) doing() zap.Field {
	text := "reading upstream"
	switch {
	case r.state == StateConnect || r.state == StatePick:
		text = "connecting to upstream"
	case r.state == StateExchange && (r.up.out != nil || !r.up.bodyDone):
		text = "sending request to upstream"
	case r.state == StateExchange:
		text = "reading response header from upstream"
	}
	return zap.String("doing", text)
}
