// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package logfile

import (
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"

	"go.uber.org/zap/buffer"
	"go.uber.org/zap/zapcore"
)

// lineCore is the zap core behind FormatText and FormatNginx: time, level and process, then what the format makes of the rest.
type lineCore struct {
	zapcore.LevelEnabler
	out     zapcore.WriteSyncer
	pid     int
	lines   buffer.Pool
	context []zapcore.Field
	format  func(line *buffer.Buffer, pid int, message string, fields []zapcore.Field)
}

// With implements zapcore.Core.
func (c *lineCore) With(fields []zapcore.Field) zapcore.Core {
	with := *c
	with.context = slices.Concat(c.context, fields)
	return &with
}

// Check implements zapcore.Core.
func (c *lineCore) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(entry.Level) {
		return checked.AddCore(entry, c)
	}
	return checked
}

// Write implements zapcore.Core: it puts a whole line together and writes it with one call.
func (c *lineCore) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	if len(c.context) > 0 {
		fields = slices.Concat(c.context, fields)
	}
	line := c.lines.Get()
	defer line.Free()
	line.AppendTime(entry.Time, "2006/01/02 15:04:05 [")
	line.AppendString(levelOf(entry.Level).String())
	line.AppendString("] ")
	line.AppendInt(int64(c.pid))
	c.format(line, c.pid, entry.Message, fields)
	line.AppendByte('\n')
	_, err := c.out.Write(line.Bytes())
	return err
}

// Sync implements zapcore.Core: there is nothing to flush.
func (c *lineCore) Sync() error { return nil }

// appendTextLine makes the lines of FormatText. zap's own console encoder would print the fields as JSON.
func appendTextLine(line *buffer.Buffer, _ int, message string, fields []zapcore.Field) {
	line.AppendString(": ")
	appendPlain(line, message)
	for _, f := range fields {
		appendField(line, f)
	}
}

func appendField(line *buffer.Buffer, f zapcore.Field) {
	if f.Type == zapcore.SkipType {
		return
	}
	line.AppendByte(' ')
	line.AppendString(f.Key)
	line.AppendByte('=')
	switch f.Type {
	case zapcore.StringType:
		appendValue(line, f.String)
	case zapcore.ByteStringType:
		appendValue(line, string(f.Interface.([]byte)))
	case zapcore.ErrorType:
		appendValue(line, f.Interface.(error).Error())
	case zapcore.Int64Type, zapcore.Int32Type, zapcore.Int16Type, zapcore.Int8Type:
		line.AppendInt(f.Integer)
	case zapcore.Uint64Type, zapcore.Uint32Type, zapcore.Uint16Type, zapcore.Uint8Type:
		line.AppendUint(uint64(f.Integer))
	case zapcore.BoolType:
		line.AppendBool(f.Integer == 1)
	case zapcore.DurationType:
		line.AppendString(time.Duration(f.Integer).String())
	default: // rare: as zap itself would present it
		m := zapcore.NewMapObjectEncoder()
		f.AddTo(m)
		appendValue(line, fmt.Sprint(m.Fields[f.Key]))
	}
}

// appendValue writes a value so that a reader finds its end: in quotes when it has spaces or anything unusual.
func appendValue(line *buffer.Buffer, value string) {
	for i := 0; i < len(value); i++ {
		if c := value[i]; c <= ' ' || c == '"' || c == '\\' || c >= 0x7f {
			line.AppendString(strconv.Quote(value))
			return
		}
	}
	if value == "" {
		line.AppendString(`""`)
		return
	}
	line.AppendString(value)
}

// appendPlain writes a message with control characters escaped: whatever got into it, a line stays one line, and a terminal
// that shows it is not driven by it.
func appendPlain(line *buffer.Buffer, message string) {
	for _, r := range message {
		switch {
		case r == utf8.RuneError:
			line.AppendString(`\ufffd`)
		case r < ' ' || r >= 0x7f && r < 0xa0:
			line.AppendString(`\x`)
			line.AppendString(strconv.FormatUint(uint64(0x100|r), 16)[1:])
		default:
			line.AppendString(string(r))
		}
	}
}

// limiterKindsMax bounds the memory of a limiter against kinds that are not constants.
const limiterKindsMax = 256

// limiter lets one line of a kind through each second and counts the others.
type limiter struct {
	now   func() time.Time
	mu    sync.Mutex
	kinds map[string]*limited
}

type limited struct {
	last       time.Time
	suppressed int
}

func newLimiter(now func() time.Time) *limiter {
	return &limiter{now: now, kinds: make(map[string]*limited)}
}

// pass says whether a line of this kind may be written now, and how many were not since the last that was.
func (l *limiter) pass(kind string) (suppressed int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	k := l.kinds[kind]
	if k == nil {
		if len(l.kinds) >= limiterKindsMax {
			clear(l.kinds)
		}
		l.kinds[kind] = &limited{last: now}
		return 0, true
	}
	if now.Sub(k.last) < time.Second {
		k.suppressed++
		return 0, false
	}
	suppressed = k.suppressed
	k.last, k.suppressed = now, 0
	return suppressed, true
}
