// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"weir/internal/buffer"
	"weir/internal/logfile"
	"weir/internal/sys"
	"weir/internal/vars"
)

// press takes blocks until the pool is pressed, and returns what gives them back.
func (h *harness) press() (ease func()) {
	var all *buffer.Block
	for !h.pool.Pressed() {
		b := h.pool.Acquire(buffer.ClassResponse)
		b.Next, all = all, b
	}
	return func() { h.pool.ReleaseChain(all) }
}

// inFlight is the one request in flight.
func (h *harness) inFlight() *Request {
	h.t.Helper()
	for _, r := range h.engine.relief.all {
		if r.client != nil {
			return r
		}
	}
	h.t.Fatal("none is in flight")
	return nil
}

// TestHeadsMove: a request whose client does not read gives back the blocks with its heads while memory is short. Its response, its log line and
// the request behind it are as if they had stayed.
func TestHeadsMove(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "log")
	require.NoError(t, err)
	log, err := logfile.NewWriter(logfile.Options{Path: "log", FD: int(file.Fd())})
	require.NoError(t, err)
	h := newHarness(t, harnessOptions{Unix: true, Log: log, Blocks: 32})
	format, err := vars.CompileLog("$request $uri $args $http_x $upstream_http_etag $status", vars.EscapeNone)
	require.NoError(t, err)
	h.bind.Default.List[0].Logs[0].Template = Prepare(format)

	const size = 4 << 20
	body := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	client := h.pairClient()
	defer sys.Close(client)
	sys.Write(client, []byte("GET /first?a=b HTTP/1.1\r\nHost: example.com\r\nX: one\r\n\r\nGET /second HTTP/1.1\r\nHost: example.com\r\nX: two\r\nConnection: close\r\n\r\n"))
	origin := h.accept()
	h.read(origin, make([]byte, 4096))
	response := append(fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nEtag: tag\r\nContent-Length: %d\r\n\r\n", size), body...)
	send := func() {
		n, _ := sys.Write(origin, response)
		response = response[max(n, 0):]
	}
	r := (*Request)(nil)
	h.pollUntil(func() bool {
		send()
		r = h.inFlight()
		return r.state == StateRelay && !r.client.Writable() && !r.relayPipe.Empty() && !r.relayPipe.Holds(r.up.block)
	})
	require.NotNil(t, r.block)
	require.NotNil(t, r.up.block)
	ease := h.press()
	used := h.pool.Used()
	h.engine.relief.start()
	h.pollUntil(func() bool { return r.block == nil && r.up.block == nil })
	require.LessOrEqual(t, h.pool.Used(), used-2)
	require.NotZero(t, h.small.Used()+h.tiny.Used())
	ease()

	var got []byte
	buf := make([]byte, 64<<10)
	for len(response) > 0 {
		send()
		if n, _ := sys.Read(client, buf); n > 0 {
			got = append(got, buf[:n]...)
		}
		h.poll()
	}
	h.pollUntil(func() bool { // the second request is on its way
		if n, _ := sys.Read(client, buf); n > 0 {
			got = append(got, buf[:n]...)
		}
		return r.pipelined && r.state == StateExchange
	})
	n := h.read(origin, buf)
	require.Contains(t, string(buf[:n]), "GET /second HTTP/1.1\r\n")
	require.Contains(t, string(buf[:n]), "\r\nX: two\r\n")
	sys.Write(origin, []byte("HTTP/1.1 204 No Content\r\nEtag: gat\r\n\r\n"))
	got = append(got, h.readAll(client)...)

	_, rest, _ := bytes.Cut(got, []byte("\r\n\r\n"))
	require.True(t, bytes.Equal(rest[:size], body))
	require.True(t, strings.HasPrefix(string(rest[size:]), "HTTP/1.1 204 "))
	lines, err := os.ReadFile(file.Name())
	require.NoError(t, err)
	require.Equal(t, "GET /first?a=b HTTP/1.1 /first a=b one tag 200\nGET /second HTTP/1.1 /second  two gat 204\n", string(lines))
	h.settled()
}

// TestSlowHeadMoves: a head that comes slowly gives its block back while memory is short, and is read on when more of it comes.
func TestSlowHeadMoves(t *testing.T) {
	h := newHarness(t, harnessOptions{Location: useReturn("$uri|$http_x|$http_y"), Blocks: 16})
	client := h.pairClient()
	defer sys.Close(client)
	sys.Write(client, []byte("GET /slow HTTP/1.1\r\nHost: a\r\nX: "))
	h.pollUntil(func() bool { return h.pool.Used() == 1 })
	r := h.inFlight()
	ease := h.press()
	h.engine.relief.start()
	h.pollUntil(func() bool { return r.block == nil })
	require.Equal(t, 1, h.tiny.Used())

	// There is no block to go on with for a moment.
	var all *buffer.Block
	for b := h.pool.Acquire(buffer.ClassResponse); b != nil; b = h.pool.Acquire(buffer.ClassResponse) {
		b.Next, all = all, b
	}
	long := strings.Repeat("y", 3000)
	sys.Write(client, []byte("1\r\nY: "+long))
	h.pollUntil(func() bool { return h.pool.Waiting() == 1 })
	h.pool.ReleaseChain(all)
	ease()
	h.pollUntil(func() bool { return r.block != nil })
	require.Zero(t, h.tiny.Used())
	sys.Write(client, []byte("\r\nConnection: close\r\n\r\n"))
	_, body, _ := strings.Cut(h.readAll(client), "\r\n\r\n")
	require.Equal(t, "/slow|1|"+long, body)
	h.settled()
}

// TestDroppedBodyMoves: a body that is dropped after the answer gives the block that it is read into back while memory is short, and is read on.
func TestDroppedBodyMoves(t *testing.T) {
	h := newHarness(t, harnessOptions{Location: useReturn("$uri?$args"), Blocks: 16})
	client := h.pairClient()
	defer sys.Close(client)
	sys.Write(client, []byte("POST /one?a HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nab"))
	r := (*Request)(nil)
	h.pollUntil(func() bool {
		if h.pool.Used() == 1 {
			r = h.inFlight()
		}
		return r != nil && r.state == StateDiscard
	})
	ease := h.press()
	h.engine.relief.start()
	h.pollUntil(func() bool { return r.block == nil })
	ease()
	sys.Write(client, []byte("cdefghGET /two?b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))
	answers := h.readAll(client)
	require.Equal(t, 2, strings.Count(answers, "HTTP/1.1 200"))
	require.Contains(t, answers, "/one?a")
	require.True(t, strings.HasSuffix(answers, "/two?b"), answers)
	h.settled()
}

// TestReliefEnds: looking for blocks ends when each request has been looked at, or the pool is not pressed any more.
func TestReliefEnds(t *testing.T) {
	h := newHarness(t, harnessOptions{Location: useReturn("ok"), Conns: 200, Blocks: 300})
	clients := make([]int, 2*reliefBatch+1)
	for i := range clients {
		clients[i] = h.pairClient()
		sys.Write(clients[i], []byte("GET / HTTP/1.1\r\nX: y"))
	}
	h.pollUntil(func() bool { return h.pool.Used() == len(clients) })
	h.engine.relief.start()
	h.poll()
	require.Equal(t, len(clients), h.pool.Used(), "nothing is given back while there is enough")
	require.Zero(t, h.engine.relief.left)

	ease := h.press()
	h.engine.relief.start()
	turns := 0
	h.pollUntil(func() bool { turns++; return h.engine.relief.left == 0 })
	require.GreaterOrEqual(t, turns, 2, "it takes several turns")
	require.False(t, h.pool.Pressed())
	ease()
	for _, fd := range clients {
		sys.Close(fd)
	}
	h.pollUntil(func() bool { return h.engine.InFlight() == 0 })
	h.settled()
}
