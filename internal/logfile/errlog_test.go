// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package logfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

func errorFile(t *testing.T) *os.File {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(t.TempDir(), "error.log"), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

func logged(t *testing.T, f *os.File) string {
	t.Helper()
	text, err := os.ReadFile(f.Name())
	require.NoError(t, err)
	return string(text)
}

func TestErrorLogText(t *testing.T) {
	f := errorFile(t)
	log := OpenErrorLog(ErrorLogOptions{FD: int(f.Fd()), Level: LevelDebug, PID: 123, Slot: NoSlot})
	for _, c := range []struct {
		message string
		fields  []zap.Field
		want    string
	}{
		{"plain", nil, "plain"},
		{"fields", []zap.Field{zap.String("a", "b"), zap.Int("n", -3), zap.Uint64("u", 9), zap.Bool("yes", true), zap.Duration("took", 1500*time.Millisecond)},
			"fields a=b n=-3 u=9 yes=true took=1.5s"},
		{"quoted", []zap.Field{zap.String("a", "b c"), zap.String("empty", ""), zap.ByteString("bytes", []byte("\"x\""))}, `quoted a="b c" empty="" bytes="\"x\""`},
		{"error", []zap.Field{zap.Error(errors.New("bind(x): in use")), zap.Error(nil)}, `error error="bind(x): in use"`},
		{"other kinds", []zap.Field{zap.Ints("list", []int{1, 2}), zap.Float64("f", 0.5)}, `other kinds list="[1 2]" f=0.5`},
		{"a line\nin the \x1b[31mmiddle\xff ü", []zap.Field{zap.String("v", "a\nb")}, `a line\x0ain the \x1b[31mmiddle\ufffd ü v="a\nb"`},
	} {
		before := len(logged(t, f))
		log.Notice(c.message, c.fields...)
		line := logged(t, f)[before:]
		require.Regexp(t, regexp.MustCompile(`^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[notice\] 123: `), line)
		_, rest, _ := strings.Cut(line, "123: ")
		require.Equal(t, c.want+"\n", rest)
	}
}

func TestErrorLogJSON(t *testing.T) {
	f := errorFile(t)
	log := OpenErrorLog(ErrorLogOptions{FD: int(f.Fd()), Level: LevelInfo, Format: FormatJSON, PID: 123, Slot: 0, Generation: 2})
	log.Alert("a \"message\"\n", zap.Duration("took", 1500*time.Millisecond), zap.Error(errors.New("why")))
	var line map[string]any
	require.NoError(t, json.Unmarshal([]byte(logged(t, f)), &line))
	_, err := time.Parse(time.RFC3339, line["ts"].(string))
	require.NoError(t, err)
	delete(line, "ts")
	require.Equal(t, map[string]any{
		"level": "alert", "msg": "a \"message\"\n", "pid": 123.0, "slot": 0.0, "generation": 2.0, "took": 1.5, "error": "why",
	}, line)

	f = errorFile(t)
	OpenErrorLog(ErrorLogOptions{FD: int(f.Fd()), Format: FormatJSON, PID: 1, Slot: NoSlot}).Info("master")
	require.NotContains(t, logged(t, f), "slot")
}

// The lines that nginx writes, to the letter.
func TestErrorLogNginx(t *testing.T) {
	f := errorFile(t)
	log := OpenErrorLog(ErrorLogOptions{FD: int(f.Fd()), Level: LevelDebug, Format: FormatNginx, PID: 123, Slot: 1, Generation: 2})
	request := func(more ...zap.Field) []zap.Field {
		return append([]zap.Field{zap.Uint64("connection", 7), zap.String("client", "192.0.2.1"), zap.String("server", ""),
			zap.ByteString("request", []byte("GET /\x1b HTTP/1.1")), zap.String("host", "a")}, more...)
	}
	const tail = `, client: 192.0.2.1, server: , request: "GET /\x1b HTTP/1.1"`
	for _, c := range []struct {
		message string
		fields  []zap.Field
		want    string
	}{
		{"plain", nil, "plain"},
		{"fields", []zap.Field{zap.String("a", "b c"), zap.Int("n", -3), zap.Error(syscall.ENOENT), zap.Error(nil)}, "fields, a: b c, n: -3, error: (2: No such file or directory)"},
		{"open() failed", request(zap.String("path", "/x")), `*7 open() failed, path: /x` + tail + `, host: "a"`},
		{"limiting requests", request(zap.String("excess", "0.123"), zap.String("zone", "x"), zap.String("key", "k")),
			`*7 limiting requests, excess: 0.123 by zone "x"` + tail + `, host: "a"`},
		{"limiting connections, dry run, by zone", request(zap.String("zone", "x")), `*7 limiting connections, dry run, by zone "x"` + tail + `, host: "a"`},
		{"connect failed", request(zap.Error(syscall.ECONNREFUSED), zap.String("upstream", "http://192.0.2.2:80/"), zap.String("referrer", "r")),
			`*7 connect() failed (111: Connection refused) while connecting to upstream` + tail + `, upstream: "http://192.0.2.2:80/", host: "a", referrer: "r"`},
		{"client sent an invalid request", []zap.Field{zap.String("why", "invalid host")}, "client sent invalid host header while reading client request headers"},
		{"client sent an invalid request", []zap.Field{zap.String("why", "of another kind")}, "client sent an invalid request, why: of another kind"},
		{"worker process 9 exited with code 0", []zap.Field{zap.Int("slot", 0)}, "worker process 9 exited with code 0"},
		{"worker process 9 killed by signal 11 (segmentation fault)", []zap.Field{zap.Int("slot", 0)}, "worker process 9 exited on signal 11"},
		{"worker process 9 exited with code 1", []zap.Field{zap.String("reason", "why")}, "worker process 9 exited with code 1, reason: why"},
	} {
		before := len(logged(t, f))
		log.Error(c.message, c.fields...)
		line := logged(t, f)[before:]
		require.Regexp(t, regexp.MustCompile(`^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[error\] 123#123: `), line)
		_, rest, _ := strings.Cut(line, "123#123: ")
		require.Equal(t, c.want+"\n", rest)
	}
}

func TestErrorLogLevels(t *testing.T) {
	for _, format := range []Format{FormatText, FormatJSON, FormatNginx} {
		for limit := LevelDebug; limit <= LevelEmerg; limit++ {
			f := errorFile(t)
			log := OpenErrorLog(ErrorLogOptions{FD: int(f.Fd()), Level: limit, Format: format})
			all := []func(string, ...zap.Field){log.Debug, log.Info, log.Notice, log.Warn, log.Error, log.Crit, log.Alert, log.Emerg}
			for _, write := range all {
				write("x")
			}
			text := logged(t, f)
			require.Equal(t, int(LevelEmerg-limit)+1, strings.Count(text, "\n"))
			for level := LevelDebug; level <= LevelEmerg; level++ {
				require.Equal(t, level >= limit, strings.Contains(text, level.String()), "%s at %s", level, limit)
				require.Equal(t, level >= limit, log.Enabled(level))
			}
		}
	}
}

func TestErrorLogSetFD(t *testing.T) {
	first, second := errorFile(t), errorFile(t)
	log := OpenErrorLog(ErrorLogOptions{FD: int(first.Fd()), Level: LevelInfo, Slot: NoSlot})
	log.Info("one")
	log.SetFD(int(second.Fd()))
	log.Info("two")
	require.Contains(t, logged(t, first), "one")
	require.NotContains(t, logged(t, first), "two")
	require.Contains(t, logged(t, second), "two")
}

func TestErrorLogLinesAreWholeWhenManyWrite(t *testing.T) {
	f := errorFile(t)
	var writers sync.WaitGroup
	for writer := range 4 {
		log := OpenErrorLog(ErrorLogOptions{FD: int(f.Fd()), Level: LevelInfo, PID: writer, Slot: NoSlot}) // as several processes do
		writers.Go(func() {
			for i := range 200 {
				log.Info(strings.Repeat(fmt.Sprint(writer), 100), zap.Int("i", i))
			}
		})
	}
	writers.Wait()
	lines := strings.Split(strings.TrimSpace(logged(t, f)), "\n")
	require.Len(t, lines, 800)
	whole := regexp.MustCompile(`^\S+ \S+ \[info\] (\d): (0{100}|1{100}|2{100}|3{100}) i=\d+$`)
	for _, line := range lines {
		require.Regexp(t, whole, line)
	}
}

func TestErrorLogSurvivesABadDescriptor(t *testing.T) {
	log := OpenErrorLog(ErrorLogOptions{FD: 1 << 20, Slot: NoSlot})
	log.Emerg("into the void") // neither panics nor exits
}

func TestErrorLogLimited(t *testing.T) {
	f := errorFile(t)
	log := OpenErrorLog(ErrorLogOptions{FD: int(f.Fd()), Level: LevelWarn, Slot: NoSlot})
	now := time.Unix(1000, 0)
	log.limited.now = func() time.Time { return now }
	for range 5 {
		log.Limited("accept", LevelCrit, "accept failed", zap.String("why", "EMFILE"))
	}
	log.Limited("disk", LevelCrit, "disk full")
	log.Limited("quiet", LevelInfo, "below the level")
	require.Equal(t, 1, strings.Count(logged(t, f), "accept failed"))
	require.Equal(t, 1, strings.Count(logged(t, f), "disk full"), "kinds do not limit each other")
	now = now.Add(time.Second)
	log.Limited("accept", LevelCrit, "accept failed", zap.String("why", "EMFILE"))
	require.Contains(t, logged(t, f), "accept failed why=EMFILE suppressed=4\n")
	now = now.Add(time.Second)
	log.Limited("accept", LevelCrit, "accept failed")
	require.True(t, strings.HasSuffix(logged(t, f), "accept failed\n"), "none was left out")
	require.NotContains(t, logged(t, f), "below")
}

func TestLimiterForgetsRatherThanGrows(t *testing.T) {
	l := newLimiter(time.Now)
	for i := range 10 * limiterKindsMax {
		_, ok := l.pass(fmt.Sprint(i))
		require.True(t, ok)
	}
	require.LessOrEqual(t, len(l.kinds), limiterKindsMax)
}

func BenchmarkErrorLogDisabled(b *testing.B) {
	log := OpenErrorLog(ErrorLogOptions{FD: 1 << 20, Level: LevelError, Slot: NoSlot})
	b.ReportAllocs()
	for b.Loop() {
		if log.Enabled(LevelInfo) {
			log.Info("not written")
		}
	}
}

func BenchmarkErrorLogText(b *testing.B) {
	f, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	log := OpenErrorLog(ErrorLogOptions{FD: int(f.Fd()), Level: LevelInfo, PID: 1, Slot: NoSlot})
	b.ReportAllocs()
	for b.Loop() {
		log.Info("client sent an invalid header line", zap.String("client", "127.0.0.1"), zap.Int("line", 3))
	}
}
