// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	"strings"

	"weir/internal/syslog"
	"weir/internal/vars"
)

// checkMainErrorLog checks the error log of all of weir.
func (k *checker) checkMainErrorLog() {
	l, p := &k.cfg.ErrorLog, (*path)(nil).key("error_log")
	k.checkLogPath(p.key("path"), l.Path)
	for i := range l.Also {
		k.checkErrorLog(p.key("also").at(i), &l.Also[i])
	}
}

func (k *checker) checkErrorLog(p *path, l *RequestErrorLog) { k.checkLogPath(p.key("path"), l.Path) }

func (k *checker) checkLogPath(p *path, name string) {
	if syslog.Is(name) {
		if _, err := syslog.Parse(name); err != nil {
			k.faultAt(p, "%v", err)
		}
	} else if name == "" || strings.Contains(name, "$") {
		k.faultAt(p, "must be the name of a file, without variables")
	}
}

func (k *checker) checkAccessLog(p *path, l *AccessLog) {
	if !l.Named() {
		k.checkLogPath(p.key("path"), string(l.Path))
	}
	switch {
	case l.Flush != 0 && l.Buffer == 0:
		k.faultAt(p.key("flush"), "no buffer is defined for access_log %s", quote(string(l.Path)))
	case l.Buffer != 0 && syslog.Is(string(l.Path)):
		k.faultAt(p.key("buffer"), "logs to syslog cannot be buffered")
	case l.Buffer != 0 && l.Named():
		k.faultAt(p.key("buffer"), "buffered logs cannot have variables in name")
	}
	names := []string{vars.Combined}
	for _, f := range k.cfg.HTTP.LogFormats {
		names = append(names, f.Name)
	}
	for _, name := range names {
		if name == l.Format {
			return
		}
	}
	k.faultAt(p.key("format"), "unknown log format %s%s", quote(l.Format), suggest(l.Format, names))
}

// Named says whether the log is a file whose name has variables.
func (l *AccessLog) Named() bool {
	return strings.Contains(string(l.Path), "$") && !syslog.Is(string(l.Path))
}
