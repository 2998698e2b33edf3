// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package worker

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"weir/conf"
	"weir/internal/request"
)

// compiled is the location of a config with some keys, as requests use it.
func compiled(t *testing.T, keys ...string) *request.Location {
	t.Helper()
	text := "[[http.server]]\naccess_log = false\n[[http.server.location]]\npath = '/'\nproxy_pass = 'http://127.0.0.1:1'\n" + strings.Join(keys, "\n")
	c, _, err := conf.Load(conf.Source{Name: "test", Text: []byte(text)})
	require.NoError(t, err)
	b := &builder{worker: &worker{config: c}, build: "test", formats: map[string]conf.LogFormat{}}
	b.define()
	for i := range c.Groups {
		g, err := b.group(&c.Groups[i])
		require.NoError(t, err)
		b.groups = append(b.groups, g)
	}
	l, err := b.fullLocation(&c.HTTP.Servers[0].Locations[0], &conf.Server{})
	require.NoError(t, err)
	return l
}

// TestBufferingSettings checks that each key of buffering and rates gets to where requests look for it.
func TestBufferingSettings(t *testing.T) {
	l := compiled(t)
	p := l.Proxy
	require.True(t, p.Buffering)
	require.Equal(t, []int{8, 32 << 10, 16 << 10, 32 << 10}, []int{p.Blocks, p.BusyBytes, p.FirstPartBytes, p.SpillWrite})
	require.Equal(t, int64(1<<30), p.SpillMax)
	require.Zero(t, p.LimitRate)
	require.Zero(t, l.LimitRate)
	require.Zero(t, l.LimitRateAfter)
	require.False(t, p.IgnoreBuffering || p.IgnoreLimitRate)

	for _, c := range []struct {
		key  string
		seen func(l *request.Location) bool
	}{
		{`proxy_buffering = false`, func(l *request.Location) bool { return !l.Proxy.Buffering }},
		{`proxy_buffers = { number = 5, size = "32k" }`, func(l *request.Location) bool { return l.Proxy.Blocks == 10 && l.Proxy.BusyBytes == 64<<10 }},
		{`proxy_buffers = { number = 2, size = "4k" }`, func(l *request.Location) bool { return l.Proxy.Blocks == 2 }},
		{`proxy_buffer_size = "8k"`, func(l *request.Location) bool {
			return l.Proxy.FirstPartBytes == 8<<10 && l.Proxy.Limits.HeadBytes == 8<<10
		}},
		{`proxy_busy_buffers_size = "48k"`, func(l *request.Location) bool { return l.Proxy.BusyBytes == 48<<10 }},
		{`proxy_max_temp_file_size = 0`, func(l *request.Location) bool { return l.Proxy.SpillMax == 0 }},
		{`proxy_max_temp_file_size = "7m"`, func(l *request.Location) bool { return l.Proxy.SpillMax == 7<<20 }},
		{`proxy_temp_file_write_size = "256k"`, func(l *request.Location) bool { return l.Proxy.SpillWrite == 256<<10 }},
		{`proxy_limit_rate = "3k"`, func(l *request.Location) bool { return l.Proxy.LimitRate == request.Size{Bytes: 3 << 10} }},
		{`proxy_limit_rate = "$arg_a"`, func(l *request.Location) bool { return l.Proxy.LimitRate.Template != nil }},
		{`limit_rate = 4096`, func(l *request.Location) bool { return l.LimitRate == request.Size{Bytes: 4096} }},
		{`limit_rate = "$arg_a"`, func(l *request.Location) bool { return l.LimitRate.Template != nil }},
		{`limit_rate_after = "1m"`, func(l *request.Location) bool { return l.LimitRateAfter == request.Size{Bytes: 1 << 20} }},
		{`limit_rate_after = "$arg_a"`, func(l *request.Location) bool { return l.LimitRateAfter.Template != nil }},
		{`proxy_ignore_headers = ["x-accel-buffering", "Expires"]`, func(l *request.Location) bool { return l.Proxy.IgnoreBuffering && !l.Proxy.IgnoreLimitRate }},
		{`proxy_ignore_headers = "X-Accel-Limit-Rate"`, func(l *request.Location) bool { return !l.Proxy.IgnoreBuffering && l.Proxy.IgnoreLimitRate }},
	} {
		require.True(t, c.seen(compiled(t, c.key)), c.key)
	}
}

// TestSpliceIsSwitched checks buffers.splice.
func TestSpliceIsSwitched(t *testing.T) {
	on := splicerOf(conf.SpliceAuto)
	require.NotNil(t, on)
	on.Close()
	require.Nil(t, splicerOf(conf.SpliceOff))
}
