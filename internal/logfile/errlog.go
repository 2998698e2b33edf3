// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package logfile

import (
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/buffer"
	"go.uber.org/zap/zapcore"

	"weir/internal/sys"
	"weir/internal/syslog"
)

// Level is the severity of a line in the error log: nginx's names and order. A higher value is more severe.
type Level uint8

// Levels of the error log, as in nginx's error_log.
const (
	LevelDebug Level = iota
	LevelInfo
	LevelNotice
	LevelWarn
	LevelError
	LevelCrit
	LevelAlert
	LevelEmerg
)

// String is the level's name as nginx prints it.
func (l Level) String() string {
	if int(l) < len(levelNames) {
		return levelNames[l]
	}
	return "emerg"
}

var levelNames = [...]string{"debug", "info", "notice", "warn", "error", "crit", "alert", "emerg"}

// zapLevelOffset moves our levels below zap's own, because zap acts on three of its numbers (it panics or exits).
const zapLevelOffset = -100

func (l Level) zap() zapcore.Level { return zapcore.Level(int8(l) + zapLevelOffset) }

func levelOf(l zapcore.Level) Level { return Level(l - zapLevelOffset) }

// Format is the form of a line in the error log.
type Format uint8

// Forms of a line.
const (
	FormatText  Format = iota // 2026/11/21 20:00:00 [notice] 123: message key=value
	FormatJSON                // {"level":"notice","ts":"...","msg":"message","pid":123,"slot":0,"generation":1,"key":"value"}
	FormatNginx               // 2026/11/21 20:00:00 [notice] 123#123: *7 message, key: value, client: 192.0.2.1
)

// NoSlot is the slot of a process that has none: the master.
const NoSlot = -1

// ErrorLogOptions says where an error log goes and who writes to it.
type ErrorLogOptions struct {
	FD     int    // where lines are written, opened for appending; stays the caller's
	Path   string // the name of the log; one that begins with "syslog:" is where lines are sent, and FD does not matter
	Level  Level
	Format Format
	PID    int

	// Slot and Generation are those of a worker, and in each line of JSON. NoSlot: the master, whose lines have neither.
	Slot       int
	Generation int
}

// ErrorLog writes the error log of one process: one line by one write(2), so that lines of several processes in one file
// are not torn. It keeps no line back and starts no goroutine. A line that cannot be written is lost: there
// is no better place to say so. It may be used by several goroutines.
type ErrorLog struct {
	zap     *zap.Logger
	out     *sink
	level   Level
	nginx   bool
	limited *limiter
}

// sink is the zap side of a descriptor.
type sink struct {
	mu sync.Mutex
	fd int
}

// Write writes a line at once. zap's error handling would go to standard error, which may be what has just failed,
// so none is reported.
func (s *sink) Write(line []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for rest := line; len(rest) > 0; {
		n, errno := sys.Write(s.fd, rest)
		if errno != 0 {
			break
		}
		rest = rest[n:]
	}
	return len(line), nil
}

// Sync does nothing: there is no buffer.
func (s *sink) Sync() error { return nil }

// OpenErrorLog makes an error log on a descriptor that is open already, or to a syslog server. What the path says of that has been checked: it panics where
// syslog.Parse fails.
func OpenErrorLog(o ErrorLogOptions) *ErrorLog {
	l := &ErrorLog{out: &sink{fd: o.FD}, level: o.Level, nginx: o.Format == FormatNginx, limited: newLimiter(time.Now)}
	if !syslog.Is(o.Path) {
		l.zap = zap.New(o.core(l.out))
		return l
	}
	server, err := OpenSyslog(o.Path, nil)
	if err != nil {
		panic(fmt.Sprintf("logfile.OpenErrorLog(%s): %v", o.Path, err))
	}
	out := &syslogSink{syslog: server}
	l.zap = zap.New(&syslogCore{o.core(out), out})
	return l
}

// core is what makes lines of the format.
func (o *ErrorLogOptions) core(out zapcore.WriteSyncer) zapcore.Core {
	switch o.Format {
	case FormatNginx:
		return &lineCore{LevelEnabler: o.Level.zap(), out: out, pid: o.PID, lines: buffer.NewPool(), format: appendNginxLine}
	case FormatJSON:
		encoder := zapcore.NewJSONEncoder(jsonKeys())
		encoder.AddInt("pid", o.PID)
		if o.Slot != NoSlot {
			encoder.AddInt("slot", o.Slot)
			encoder.AddInt("generation", o.Generation)
		}
		return zapcore.NewCore(encoder, out, o.Level.zap())
	}
	return &lineCore{LevelEnabler: o.Level.zap(), out: out, pid: o.PID, lines: buffer.NewPool(), format: appendTextLine}
}

// Both is an error log whose lines go to l and to other, to each those of its level. SetFD is for
// the file of l.
func (l *ErrorLog) Both(other *ErrorLog) *ErrorLog {
	both := *l
	both.zap = zap.New(zapcore.NewTee(l.zap.Core(), other.zap.Core()))
	both.level = min(l.level, other.level)
	return &both
}

// jsonKeys are the first keys of every line of JSON; pid, slot and generation follow them.
func jsonKeys() zapcore.EncoderConfig {
	return zapcore.EncoderConfig{
		TimeKey: "ts", LevelKey: "level", MessageKey: "msg",
		EncodeTime: func(t time.Time, to zapcore.PrimitiveArrayEncoder) {
			to.AppendString(t.Format("2006-01-02T15:04:05.000Z07:00"))
		},
		EncodeLevel: func(l zapcore.Level, to zapcore.PrimitiveArrayEncoder) {
			to.AppendString(levelOf(l).String())
		},
		EncodeDuration: zapcore.SecondsDurationEncoder,
		LineEnding:     "\n",
	}
}

// SetFD has all later lines go to another descriptor; when it returns, no line is being written to the old one. A
// process that reopens its log under the same number (dup3(2)) need not call it.
func (l *ErrorLog) SetFD(fd int) {
	l.out.mu.Lock()
	defer l.out.mu.Unlock()
	l.out.fd = fd
}

// Enabled says whether a line of this level would be written: ask before working out what to log.
func (l *ErrorLog) Enabled(level Level) bool { return level >= l.level }

// Nginx says that lines have nginx's form, in which more stands than in the others.
func (l *ErrorLog) Nginx() bool { return l.nginx }

// Log writes a line: the message is constant text in lower case, and what varies is in the fields.
func (l *ErrorLog) Log(level Level, message string, fields ...zap.Field) {
	if entry := l.zap.Check(level.zap(), message); entry != nil {
		entry.Write(fields...)
	}
}

// Debug logs what only a developer of weir wants to know.
func (l *ErrorLog) Debug(message string, fields ...zap.Field) { l.Log(LevelDebug, message, fields...) }

// Info logs what a peer did wrong, and other things that are many.
func (l *ErrorLog) Info(message string, fields ...zap.Field) { l.Log(LevelInfo, message, fields...) }

// Notice logs what happens once in a while and is as it should be: start, reload, exit.
func (l *ErrorLog) Notice(message string, fields ...zap.Field) {
	l.Log(LevelNotice, message, fields...)
}

// Warn logs what works but is hardly meant.
func (l *ErrorLog) Warn(message string, fields ...zap.Field) { l.Log(LevelWarn, message, fields...) }

// Error logs what failed while service goes on, such as an origin that does not answer.
func (l *ErrorLog) Error(message string, fields ...zap.Field) { l.Log(LevelError, message, fields...) }

// Crit logs what fails for many clients.
func (l *ErrorLog) Crit(message string, fields ...zap.Field) { l.Log(LevelCrit, message, fields...) }

// Alert logs what should not happen at all: a worker killed by a signal, a bug.
func (l *ErrorLog) Alert(message string, fields ...zap.Field) { l.Log(LevelAlert, message, fields...) }

// Emerg logs why weir does not start, or cannot go on.
func (l *ErrorLog) Emerg(message string, fields ...zap.Field) { l.Log(LevelEmerg, message, fields...) }

// Limited writes a line at most once a second for each kind, and says in the field suppressed how many were left
// out before it. It is for faults of the environment, which come in floods: no descriptors, a full
// disk. kind is a constant; there are few of them.
func (l *ErrorLog) Limited(kind string, level Level, message string, fields ...zap.Field) {
	if !l.Enabled(level) {
		return
	}
	suppressed, ok := l.limited.pass(kind)
	if !ok {
		return
	}
	if suppressed > 0 {
		fields = append(fields[:len(fields):len(fields)], zap.Int("suppressed", suppressed))
	}
	l.Log(level, message, fields...)
}
