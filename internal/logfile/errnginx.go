// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package logfile

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"go.uber.org/zap/buffer"
	"go.uber.org/zap/zapcore"
)

// About the connection and the request, in nginx's order. connection comes first in a line.
var nginxTail = [...]struct {
	key    string
	quoted bool
}{{"client", false}, {"server", false}, {"request", true}, {"subrequest", true}, {"upstream", true}, {"host", true}, {"referrer", true}}

// appendNginxLine makes the lines of FormatNginx, which nginx writes, for the programs and people that read them.
//
//	2026/11/21 20:00:00 [error] 123#123: *7 message, key: value, client: 192.0.2.1, server: name, request: "..", upstream: "..", host: "..", referrer: ".."
//
// A message that nginx has other words for is put into those (nginxWords), with the values of its fields in them.
func appendNginxLine(line *buffer.Buffer, pid int, message string, fields []zapcore.Field) {
	line.AppendByte('#')
	line.AppendInt(int64(pid))
	line.AppendString(": ")
	if i := fieldOf(fields, "connection"); i >= 0 {
		line.AppendByte('*')
		line.AppendString(nginxValue(fields[i]))
		line.AppendByte(' ')
	}
	message, worded := inNginxWords(message, fields)
	appendPlain(line, message)
	if !worded {
		for _, f := range fields {
			if f.Type != zapcore.SkipType && f.Key != "connection" && !inTail(f.Key) {
				appendNginx(line, f, false)
			}
		}
	}
	for _, t := range nginxTail {
		if i := fieldOf(fields, t.key); i >= 0 {
			appendNginx(line, fields[i], t.quoted)
		}
	}
}

func inTail(key string) bool {
	for _, t := range nginxTail {
		if t.key == key {
			return true
		}
	}
	return false
}

func fieldOf(fields []zapcore.Field, key string) int {
	return slices.IndexFunc(fields, func(f zapcore.Field) bool { return f.Key == key && f.Type != zapcore.SkipType })
}

func appendNginx(line *buffer.Buffer, f zapcore.Field, quoted bool) {
	line.AppendString(", ")
	line.AppendString(f.Key)
	line.AppendString(": ")
	if quoted {
		line.AppendByte('"')
	}
	appendPlain(line, nginxValue(f))
	if quoted {
		line.AppendByte('"')
	}
}

// nginxValue is a field's value as it stands in a line; of an error from the system, number and text: (111: Connection refused).
func nginxValue(f zapcore.Field) string {
	switch f.Type {
	case zapcore.StringType:
		return f.String
	case zapcore.ByteStringType:
		return string(f.Interface.([]byte))
	case zapcore.DurationType:
		return time.Duration(f.Integer).String()
	case zapcore.ErrorType:
		err := f.Interface.(error)
		if errno, ok := errors.AsType[syscall.Errno](err); ok && error(errno) == err {
			return ErrnoText(errno)
		}
		return err.Error()
	}
	m := zapcore.NewMapObjectEncoder()
	f.AddTo(m)
	return fmt.Sprint(m.Fields[f.Key])
}

// ErrnoText is an error of a system call as nginx writes it: (2: No such file or directory).
func ErrnoText(errno syscall.Errno) string {
	text := errno.Error()
	return fmt.Sprintf("(%d: %s)", int(errno), strings.ToUpper(text[:1])+text[1:])
}

// inNginxWords is a message in the words that nginx has for it; false: it has none, and the message is as it was.
func inNginxWords(message string, fields []zapcore.Field) (string, bool) {
	if i := fieldOf(fields, "why"); i >= 0 {
		if words, ok := nginxWords[message+": "+nginxValue(fields[i])]; ok {
			return fillIn(words, fields), true
		}
	}
	if words, ok := nginxWords[message]; ok {
		return fillIn(words, fields), true
	}
	if rest, ok := strings.CutPrefix(message, "worker process "); ok {
		var pid, signal int
		if n, _ := fmt.Sscanf(rest, "%d killed by signal %d", &pid, &signal); n == 2 {
			return fmt.Sprintf("worker process %d exited on signal %d", pid, signal), true
		}
		return message, strings.Contains(rest, " exited with code ") && fieldOf(fields, "reason") < 0
	}
	return message, false
}

// fillIn puts the values of fields where their names stand in braces. What is not there is left out.
func fillIn(words string, fields []zapcore.Field) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(words, "{")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		name, after, _ := strings.Cut(rest, "}")
		if i := fieldOf(fields, name); i >= 0 {
			b.WriteString(nginxValue(fields[i]))
		}
		words = after
	}
}
