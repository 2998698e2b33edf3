// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package worker

import (
	"fmt"

	"go.uber.org/zap"

	"weir/conf"
	"weir/internal/logfile"
	"weir/internal/request"
	"weir/internal/syslog"
	"weir/internal/vars"
)

// accessLogs opens the logs of a location.
func (b *builder) accessLogs(c *conf.Settings) ([]request.Log, error) {
	var logs []request.Log
	list := c.AccessLogs
	for i := range list {
		log, err := b.accessLog(&list[i], &c.OpenLogFileCache)
		if err != nil {
			return nil, err
		}
		logs = append(logs, log)
	}
	return logs, nil
}

func (b *builder) accessLog(c *conf.AccessLog, cache *conf.LogFileCache) (log request.Log, err error) {
	switch path := string(c.Path); {
	case c.Named():
		log.Files, log.Cache = b.namedLogs(), b.logCache(cache)
		log.Path, err = b.compile(path)
	case syslog.Is(path):
		log.Syslog, err = b.syslogTo(path)
	default:
		log.Writer, err = b.logWriter(c)
	}
	if err != nil {
		return log, err
	}
	format, err := b.logTemplate(c.Format)
	if err != nil {
		return log, err
	}
	log.Template = request.Prepare(format)
	if c.If != "" {
		log.If, err = b.compile(string(c.If))
	}
	return log, err
}

// logWriter opens a file. Logs to one path share one writer.
func (b *builder) logWriter(c *conf.AccessLog) (*logfile.Writer, error) {
	fd, ok := b.manifest.Log(string(c.Path))
	if !ok {
		return nil, fmt.Errorf("manifest: no descriptor for access log %s", c.Path)
	}
	return b.logs.Share(logfile.Options{
		Path: string(c.Path), FD: fd, BufferBytes: int(c.Buffer), FlushMs: c.Flush.Milliseconds(), Complain: b.complain,
	})
}

// complain says what keeps access logs from being written.
func (b *builder) complain(err error) { b.log.Error("access log", zap.Error(err)) }

// namedLogs writes the logs whose names have variables.
func (b *builder) namedLogs() *logfile.NamedFiles {
	if b.named == nil {
		b.named = logfile.NewNamedFiles(b.calls.NewThread(), b.complain)
		b.logCaches = map[conf.LogFileCache]*logfile.FileCache{}
	}
	return b.named
}

// logCache is what open_log_file_cache asks for: one for all places that ask for the same; nil: none.
func (b *builder) logCache(c *conf.LogFileCache) *logfile.FileCache {
	if c.Max == 0 {
		return nil
	}
	if b.logCaches[*c] == nil {
		b.logCaches[*c] = logfile.NewFileCache(c.Max, c.Inactive, c.Valid, c.MinUses)
	}
	return b.logCaches[*c]
}

// reopenNamed has files that are kept open closed, because they may have been moved away.
func (w *worker) reopenNamed() {
	for _, cache := range w.logCaches {
		w.named.Forget(cache)
	}
}

// syslogTo is the way to a syslog server. Logs to the same one share it.
func (b *builder) syslogTo(path string) (*logfile.Syslog, error) {
	if s := b.syslogs[path]; s != nil {
		return s, nil
	}
	s, err := logfile.OpenSyslog(path, b.complain)
	b.syslogs[path] = s
	return s, err
}

// errorLog is the error log of a location, nil for that of the worker. Locations with the same files and levels have the same.
func (b *builder) errorLog(list []conf.RequestErrorLog) (*logfile.ErrorLog, error) {
	if len(list) == 0 {
		return nil, nil
	}
	key := fmt.Sprint(list)
	if l := b.errorLogs[key]; l != nil {
		return l, nil
	}
	var all *logfile.ErrorLog
	for _, c := range list {
		l, err := b.openErrorLog(c.Path, c.Level)
		if err != nil {
			return nil, err
		}
		if all == nil {
			all = l
		} else {
			all = all.Both(l)
		}
	}
	b.errorLogs[key] = all
	return all, nil
}

func (b *builder) logTemplate(name string) (*vars.Template, error) {
	f, ok := b.formats[name]
	if !ok {
		return vars.CompileLog(vars.CombinedText, vars.EscapeDefault)
	}
	escape := [...]vars.Escape{conf.EscapeDefault: vars.EscapeDefault, conf.EscapeJSON: vars.EscapeJSON, conf.EscapeNone: vars.EscapeNone}
	return b.config.Variables.CompileLog(string(f.Format), escape[f.Escape])
}
