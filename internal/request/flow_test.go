// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"weir/internal/eventpipe"
	"weir/internal/sys"
	"weir/internal/vars"
)

func TestIsStream(t *testing.T) {
	for value, want := range map[string]bool{
		"text/event-stream":                   true,
		"Text/Event-Stream; charset=utf-8":    true,
		"text/event-stream;charset=utf-8":     true,
		"text/event-stream ; charset=utf-8":   true,
		"application/x-ndjson":                true,
		"APPLICATION/X-NDJSON":                true,
		"application/grpc":                    true,
		"application/grpc+proto":              true,
		"application/grpc-web-text":           true,
		"text/event-streams":                  false,
		"text/event":                          false,
		"application/x-ndjsonp":               false,
		"application/grp":                     false,
		"application/json":                    false,
		"text/plain; a=text/event-stream":     false,
		"application/octet-stream":            false,
		"":                                    false,
		";":                                   false,
		"multipart/mixed; b=application/grpc": false,
	} {
		require.Equal(t, want, isStream([]byte(value)), "%q", value)
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "1": 1, "20480": 20480, "20k": 20 << 10, "20K": 20 << 10, "3m": 3 << 20, "3M": 3 << 20, "2g": 2 << 30, "007": 7,
		"999999999999999999": 999999999999999999,
		"":                   -1, "k": -1, "-1": -1, "1 k": -1, "1kk": -1, "k1": -1, "1t": -1, "0x10": -1, " 1": -1, "1.5k": -1,
		"1000000000000000000": -1, "99999999999g": -1, "9223372036854775807k": -1,
	} {
		n, ok := parseSize([]byte(text))
		require.Equal(t, want >= 0, ok, "%q", text)
		if ok {
			require.Equal(t, want, n, "%q", text)
		}
	}
}

// TestFlow sends responses through the engine and looks at what the pipe was told: each setting of a location, and each field of the origin's,
// has its effect there.
func TestFlow(t *testing.T) {
	rate := vars.MustCompile("$arg_rate")
	config := func(l *Location) {
		p := l.Proxy
		p.Blocks, p.BusyBytes, p.FirstPartBytes, p.SpillMax, p.SpillWrite = 7, 48<<10, 12<<10, 5<<20, 96<<10
		p.LimitRate = Size{Bytes: 1 << 30}
		l.LimitRate, l.LimitRateAfter = Size{Bytes: 2 << 30}, Size{Bytes: 4 << 30}
	}
	buffered := eventpipe.Options{Blocks: 7, Busy: 48 << 10, SpillMax: 5 << 20, SpillWrite: 96 << 10, SourceRate: eventpipe.Rate{BytesPerSecond: 1 << 30},
		SinkRate: eventpipe.Rate{BytesPerSecond: 2 << 30, After: 4 << 30}}
	passed := eventpipe.Options{Unbuffered: true, Blocks: 2, Busy: 12 << 10, SinkRate: buffered.SinkRate}
	for name, c := range map[string]struct {
		change func(*Location)
		target string
		fields string
		want   eventpipe.Options
		differ func(*eventpipe.Options) // from want
	}{
		"as configured":                  {want: buffered},
		"proxy_buffering = false":        {change: func(l *Location) { l.Proxy.Buffering = false }, want: passed},
		"X-Accel-Buffering: no":          {fields: "X-Accel-Buffering: no\r\n", want: passed},
		"X-Accel-Buffering, ignored":     {fields: "X-Accel-Buffering: no\r\n", change: func(l *Location) { l.Proxy.IgnoreBuffering = true }, want: buffered},
		"X-Accel-Buffering: yes":         {fields: "x-accel-buffering: YES\r\n", change: func(l *Location) { l.Proxy.Buffering = false }, want: buffered},
		"X-Accel-Buffering: nonsense":    {fields: "X-Accel-Buffering: off\r\n", want: buffered},
		"a stream":                       {fields: "Content-Type: text/event-stream\r\n", want: passed},
		"a stream, yes":                  {fields: "Content-Type: text/event-stream\r\nX-Accel-Buffering: yes\r\n", want: buffered},
		"no temporary file":              {change: func(l *Location) { l.Proxy.SpillMax = 0 }, want: buffered, differ: func(o *eventpipe.Options) { o.SpillMax = 0 }},
		"no rates":                       {change: func(l *Location) { l.LimitRate, l.Proxy.LimitRate = Size{}, Size{} }, want: buffered, differ: noRates},
		"X-Accel-Limit-Rate":             {fields: "X-Accel-Limit-Rate: 3000000000\r\n", want: buffered, differ: sinkRate(3_000_000_000, 4<<30)},
		"X-Accel-Limit-Rate, ignored":    {fields: "X-Accel-Limit-Rate: 3000000000\r\n", change: func(l *Location) { l.Proxy.IgnoreLimitRate = true }, want: buffered},
		"X-Accel-Limit-Rate: 0":          {fields: "X-Accel-Limit-Rate: 0\r\n", want: buffered, differ: sinkRate(0, 0)},
		"X-Accel-Limit-Rate: nonsense":   {fields: "X-Accel-Limit-Rate: 3g\r\n", want: buffered},
		"a template":                     {change: func(l *Location) { l.LimitRate.Template = rate }, target: "/?rate=3g", want: buffered, differ: sinkRate(3<<30, 4<<30)},
		"a template, empty":              {change: func(l *Location) { l.LimitRate.Template = rate }, want: buffered, differ: sinkRate(0, 0)},
		"a template, nonsense":           {change: func(l *Location) { l.LimitRate.Template = rate }, target: "/?rate=fast", want: buffered, differ: sinkRate(0, 0)},
		"a template for what is free":    {change: func(l *Location) { l.LimitRateAfter.Template = rate }, target: "/?rate=3g", want: buffered, differ: sinkRate(2<<30, 3<<30)},
		"a template for the origin":      {change: func(l *Location) { l.Proxy.LimitRate.Template = rate }, target: "/?rate=3g", want: buffered, differ: sourceRate(3 << 30)},
		"proxy_limit_rate, not buffered": {fields: "X-Accel-Buffering: no\r\n", want: passed},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, harnessOptions{Location: func(l *Location) {
				config(l)
				if c.change != nil {
					c.change(l)
				}
			}})
			if c.target == "" {
				c.target = "/"
			}
			if c.differ != nil {
				c.differ(&c.want)
			}
			got := h.flow(t, c.target, c.fields)
			require.Equal(t, c.want.SpillMax > 0 && !c.want.Unbuffered, got.SpillMax > 0)
			got.Source, got.Sink, got.Owner, got.Class, got.Framing, got.Length = nil, nil, nil, 0, 0, 0
			require.Equal(t, c.want, got)
		})
	}
}

func noRates(o *eventpipe.Options) { o.SinkRate, o.SourceRate = eventpipe.Rate{}, eventpipe.Rate{} }

func sinkRate(perSecond, after int64) func(*eventpipe.Options) {
	return func(o *eventpipe.Options) { o.SinkRate = eventpipe.Rate{BytesPerSecond: perSecond, After: after} }
}

func sourceRate(perSecond int64) func(*eventpipe.Options) {
	return func(o *eventpipe.Options) { o.SourceRate.BytesPerSecond = perSecond }
}

// flow is what the pipe was told for a response with some fields.
func (h *harness) flow(t *testing.T, target, fields string) eventpipe.Options {
	t.Helper()
	client := h.connectClient()
	defer sys.Close(client)
	_, errno := sys.Write(client, fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: example.com\r\n\r\n", target))
	require.Zero(t, errno)
	origin := h.accept()
	defer sys.Close(origin)
	buf := make([]byte, 4096)
	h.read(origin, buf)
	_, errno = sys.Write(origin, []byte("HTTP/1.1 200 OK\r\n"+fields+"Content-Length: 100000\r\n\r\nsome"))
	require.Zero(t, errno)
	n := h.read(client, buf)
	require.True(t, strings.HasPrefix(string(buf[:n]), "HTTP/1.1 200 OK\r\n"))
	for _, r := range h.engine.relief.all {
		if r.client != nil {
			return r.relayPipe.Options
		}
	}
	t.Fatal("no request is in flight")
	return eventpipe.Options{}
}
