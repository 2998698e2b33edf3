// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package logfile

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap/zapcore"

	"weir/internal/sys"
	"weir/internal/syslog"
)

// Syslog sends lines to a syslog server: a datagram for each, from a socket that is made when the first line is sent, and anew after a failure. It
// never waits: what the kernel does not take at once is dropped and counted. Not for several goroutines.
type Syslog struct {
	target   syslog.Target
	to       sys.Sockaddr
	hostname string
	text     string // the target as it is written, for messages
	fd       int    // -1: none
	line     []byte // memory for a message

	second int64 // the one that date shows
	date   []byte

	dropped    uint64
	unreported uint64
	quiet      time.Time // nothing is reported before
	complain   func(error)
}

// lineMax is how much of a line of the error log is sent, as with nginx. A line of an access log is sent whole.
const lineMax = 2048

// OpenSyslog makes a Syslog of a text that syslog.Parse takes. complain is told of lines that are dropped, at most once a second; nil: nobody.
func OpenSyslog(text string, complain func(error)) (*Syslog, error) {
	target, err := syslog.Parse(text)
	if err != nil {
		return nil, err
	}
	s := &Syslog{target: target, text: text, fd: -1, complain: complain}
	if target.Path != "" {
		s.to, err = sys.SockaddrUnix(target.Path)
	} else {
		s.to = sys.SockaddrTCP(target.Addr)
	}
	if err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	s.hostname = strings.ToLower(host)
	return s, nil
}

// Begin returns memory with a message's header in it, for a line to be appended to; unix is the time in seconds. It is good until Send, which must be the next call.
func (s *Syslog) Begin(unix int64) []byte { return s.begin(unix, s.target.Severity) }

func (s *Syslog) begin(unix int64, severity int) []byte {
	if unix != s.second || s.date == nil {
		s.second = unix
		s.date = time.Unix(unix, 0).AppendFormat(s.date[:0], syslog.Layout)
	}
	return s.target.AppendHeader(s.line[:0], severity, s.date, s.hostname)
}

// Send sends what was appended to what Begin returned.
func (s *Syslog) Send(message []byte) {
	s.line = message[:0]
	var errno syscall.Errno
	if s.fd < 0 {
		s.fd, errno = sys.ConnectDatagram(&s.to)
	}
	if errno == 0 {
		if _, errno = sys.Write(s.fd, message); errno == 0 {
			return
		}
	}
	if errno != sys.EAGAIN {
		s.Close() // a server that was started anew is another one, if its socket is a file
	}
	s.dropped++
	s.unreported++
	if now := time.Now(); s.complain != nil && now.After(s.quiet) {
		s.quiet = now.Add(complaintMs * time.Millisecond)
		s.complain(fmt.Errorf("send(%s): %w; %d lines dropped", s.text, errno, s.unreported))
		s.unreported = 0
	}
}

// Dropped returns how many lines were never sent.
func (s *Syslog) Dropped() uint64 { return s.dropped }

// Close closes the socket. The next line makes another.
func (s *Syslog) Close() {
	if s.fd >= 0 {
		sys.Close(s.fd)
		s.fd = -1
	}
}

// syslogCore is the zap core of an error log that goes to a syslog server: that of a form, which writes to it, and the severity of the line.
type syslogCore struct {
	zapcore.Core
	out *syslogSink
}

// syslogSink is what that writes to.
type syslogSink struct {
	mu     sync.Mutex
	syslog *Syslog
	entry  zapcore.Entry // the line being written
}

// With implements zapcore.Core.
func (c *syslogCore) With(fields []zapcore.Field) zapcore.Core {
	return &syslogCore{c.Core.With(fields), c.out}
}

// Check implements zapcore.Core.
func (c *syslogCore) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(entry.Level) {
		return checked.AddCore(entry, c)
	}
	return checked
}

// Write implements zapcore.Core.
func (c *syslogCore) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	c.out.entry = entry
	return c.Core.Write(entry, fields)
}

// Write sends a line. The lock is syslogCore.Write's.
func (s *syslogSink) Write(line []byte) (int, error) {
	n := len(line)
	if n > 0 && line[n-1] == lineFeedByte {
		line = line[:n-1]
	}
	severity := int(LevelEmerg - levelOf(s.entry.Level)) // emerg is 0
	message := s.syslog.begin(s.entry.Time.Unix(), severity)
	s.syslog.Send(append(message, line[:min(len(line), lineMax)]...))
	return n, nil
}

// Sync does nothing: there is no buffer.
func (s *syslogSink) Sync() error { return nil }
