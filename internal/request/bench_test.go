// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"weir/internal/invariant"
	"weir/internal/logfile"
	"weir/internal/stats"
	"weir/internal/sys"
)

const (
	smallRequest  = "GET /index.html HTTP/1.1\r\nHost: example.com\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n"
	smallResponse = "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Sat, 21 Nov 2026 22:50:15 GMT\r\nContent-Type: text/plain\r\n" +
		"Content-Length: 28\r\nLast-Modified: Sat, 21 Nov 2026 22:50:15 GMT\r\nConnection: keep-alive\r\nETag: \"656d5c3a-1c\"\r\n" +
		"Accept-Ranges: bytes\r\n\r\naaaaaaaaaaaaaaaaaaaaaaaaaaaa"
)

// smallHarness has a client and an origin with one keep-alive connection each.
func smallHarness(t testing.TB) (h *harness, client, origin int) {
	file, err := os.OpenFile(filepath.Join(t.TempDir(), "access.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, file.Close()) })
	log, err := logfile.NewWriter(logfile.Options{Path: "access.log", FD: int(file.Fd()), BufferBytes: 64 << 10})
	require.NoError(t, err)
	h = newHarness(t, harnessOptions{Log: log})
	client = h.connectClient()
	buf := make([]byte, 4096)
	sys.Write(client, []byte(smallRequest))
	origin = h.accept()
	h.read(origin, buf)
	sys.Write(origin, []byte(smallResponse))
	h.read(client, buf)
	return h, client, origin
}

// exchangeSmall is one request over connections that are there already.
func (h *harness) exchangeSmall(client, origin int, request, response, buf []byte) {
	sys.Write(client, request)
	h.read(origin, buf)
	sys.Write(origin, response)
	if n := h.read(client, buf); n < len("HTTP/1.1 200") || string(buf[:12]) != "HTTP/1.1 200" {
		h.t.Fatalf("answer %q", buf[:n])
	}
}

// TestSteadyStateAllocatesNothing: a small keep-alive request, with the log line, costs no allocation.
func TestSteadyStateAllocatesNothing(t *testing.T) {
	if invariant.Enabled {
		t.Log("the checks of this build allocate; the plain build is measured")
		return
	}
	h, client, origin := smallHarness(t)
	request, response, buf := []byte(smallRequest), []byte(smallResponse), make([]byte, 4096)
	allocs := testing.AllocsPerRun(500, func() { h.exchangeSmall(client, origin, request, response, buf) })
	require.Zero(t, allocs)
	h.settled()
	require.Zero(t, h.peerRow.Active.Load())
	server := h.engine.Binds[0].Default.Row
	for _, row := range []*stats.Row{&h.peerRow, server} { // 500, one to warm up, and the first
		require.EqualValues(t, 502, row.Requests.Load())
		require.EqualValues(t, 502, row.Classes[2].Load())
	}
	require.EqualValues(t, 1, count(&h.peerRow.Connect))
	require.EqualValues(t, 502, count(&h.peerRow.FirstByte))
	require.EqualValues(t, 502, count(&h.peerRow.Total))
	require.EqualValues(t, 502, count(&server.Total))
	require.EqualValues(t, 502*len(smallRequest), server.Received.Load())
	require.EqualValues(t, 502*len(smallResponse), h.peerRow.Received.Load())
}

// count is how many durations a histogram has.
func count(h *stats.Histogram) (n uint64) {
	for i := range h.Buckets {
		n += h.Buckets[i].Load()
	}
	return n
}

// BenchmarkSmall is the user side of one small keep-alive request; most of the time is the kernel's.
func BenchmarkSmall(b *testing.B) {
	h, client, origin := smallHarness(b)
	request, response, buf := []byte(smallRequest), []byte(smallResponse), make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		h.exchangeSmall(client, origin, request, response, buf)
	}
}
