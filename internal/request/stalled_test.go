// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"bytes"
	"fmt"
	"io"
	"net/http/httputil"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"weir/internal/sys"
)

// stalledBody is more than the sockets of a client that reads nothing take.
var stalledBody = bytes.Repeat([]byte("0123456789abcdef"), 1<<20/16) // read-only

// useSpill lets responses use a temporary file.
func useSpill(l *Location) { l.Proxy.SpillMax = 1 << 30 }

// pour writes as much of unsent to fd as it takes.
func pour(fd int, unsent []byte) []byte {
	n, _ := sys.Write(fd, unsent)
	return unsent[max(n, 0):]
}

// acceptSoon and readSoon are accept and read for tests in which nothing else may be due: they do not sleep in the loop.
func (h *harness) acceptSoon() (fd int) {
	h.t.Helper()
	h.pollUntil(func() bool {
		var from sys.Sockaddr
		n, errno := sys.Accept(h.listening, &from)
		fd = n
		return errno == 0
	})
	return fd
}

func (h *harness) readSoon(fd int) (got []byte) {
	h.t.Helper()
	buf := make([]byte, 4096)
	h.pollUntil(func() bool {
		n, errno := sys.Read(fd, buf)
		got = buf[:max(n, 0)]
		return errno == 0
	})
	return got
}

// finishStalled has the origin send the rest while the client reads, and compares the body.
func (h *harness) finishStalled(client, origin int, unsent []byte) {
	h.t.Helper()
	buf := make([]byte, 64<<10)
	var got []byte
	h.pollUntil(func() bool {
		unsent = pour(origin, unsent)
		if n, _ := sys.Read(client, buf); n > 0 {
			got = append(got, buf[:n]...)
		}
		_, body, _ := bytes.Cut(got, []byte("\r\n\r\n"))
		return len(body) >= len(stalledBody)
	})
	_, body, _ := bytes.Cut(got, []byte("\r\n\r\n"))
	require.True(h.t, bytes.Equal(body, stalledBody))
}

// TestRescuedPipeDoesNotReadOn: what the kept part of the quota has taken for a client that reads nothing is sent before anything more is
// read, also when memory is not short any more: else one client's rescue would let it read on, and take the next.
func TestRescuedPipeDoesNotReadOn(t *testing.T) {
	const limit = 1 << 20
	h := newHarness(t, harnessOptions{Unix: true, Blocks: 32, Spill: limit, Location: useSpill})
	h.budget.used = limit / 2 // of others: the ordinary part is used up
	client := h.pairClient()
	defer sys.Close(client)
	sys.Write(client, []byte("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"))
	origin := h.accept()
	defer sys.Close(origin)
	h.read(origin, make([]byte, 4096))
	unsent := append(fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(stalledBody)), stalledBody...)
	r := h.inFlight()
	h.pollUntil(func() bool {
		unsent = pour(origin, unsent)
		return r.state == StateRelay && !r.client.Writable() && r.relayPipe.Full()
	})
	ease := h.press()
	h.engine.relief.start()
	h.pollUntil(func() bool { return r.relayPipe.Spilled > 0 && !r.relayPipe.Full() })
	ease()
	rescued, raw := h.budget.used, r.relayPipe.Raw
	require.Greater(t, rescued, int64(limit/2))
	for range 50 {
		unsent = pour(origin, unsent)
		h.engine.Loop.Post(&r.task)
		h.poll()
	}
	require.False(t, h.pool.Pressed())
	require.Equal(t, raw, r.relayPipe.Raw, "it read on")
	require.Equal(t, rescued, h.budget.used)

	h.finishStalled(client, origin, unsent)
	h.pollUntil(func() bool { return h.budget.used == limit/2 })
	h.budget.used = 0
}

// TestRestingBodiesLeaveBlocks: clients that read nothing, of bodies that need a block each and have no file to go to, leave blocks for the
// heads of other requests and for short answers.
func TestRestingBodiesLeaveBlocks(t *testing.T) {
	const blocks = 16
	h := newHarness(t, harnessOptions{Unix: true, Blocks: blocks, Conns: 128})
	fds, origins := h.restingBodies(2 * blocks)
	require.GreaterOrEqual(t, h.pool.Used(), h.pool.AheadMax()-1, "too few of them hold a block: this shows nothing")
	client := h.pairClient()
	for range 3 {
		sys.Write(client, []byte("GET /short HTTP/1.1\r\nHost: example.com\r\n\r\n"))
		if len(fds) == 2*blocks {
			fds, origins = append(fds, client), append(origins, h.acceptSoon())
		}
		h.readSoon(origins[2*blocks])
		sys.Write(origins[2*blocks], []byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nshort"))
		got := string(h.readSoon(client))
		require.True(t, strings.HasSuffix(got, "\r\n\r\nshort"), "%q", got)
	}
	for i := range fds {
		sys.Close(fds[i])
		sys.Close(origins[i])
	}
	h.pollUntil(func() bool { return h.engine.InFlight() == 0 })
}

// restingBodies has n clients ask for chunked bodies and read nothing of them. There is no file for them.
func (h *harness) restingBodies(n int) (fds, origins []int) {
	response := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(stalledBody), stalledBody)
	var unsent [][]byte
	for range n {
		fd := h.pairClient()
		sys.Write(fd, []byte("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"))
		origin := h.acceptSoon()
		h.readSoon(origin)
		fds, origins, unsent = append(fds, fd), append(origins, origin), append(unsent, response)
		for range 8 {
			for i := range origins {
				unsent[i] = pour(origins[i], unsent[i])
			}
			h.poll()
		}
	}
	return fds, origins
}

// TestChunksBesideRestingBodies: while bodies that rest hold all blocks that they may, and there is no file, a chunked body whose client reads goes on without a block, in chunks or not, to its end;
// and one whose client stops in the middle holds none. With limit_rate, too.
func TestChunksBesideRestingBodies(t *testing.T) {
	for _, rate := range []int64{0, 64 << 20} {
		chunksBesideRestingBodies(t, rate)
	}
}

func chunksBesideRestingBodies(t *testing.T, rate int64) {
	const blocks = 16
	h := newHarness(t, harnessOptions{Unix: true, Blocks: blocks, Conns: 128, Location: func(l *Location) { l.LimitRate.Bytes = rate }})
	fds, origins := h.restingBodies(2 * blocks)
	require.GreaterOrEqual(t, h.pool.Used(), h.pool.AheadMax()-1, "too few of them hold a block: this shows nothing")
	before := h.engine.Pipes.Stats.PeekedBytes
	for _, version := range []string{"1.1", "1.0"} {
		client := h.pairClient()
		sys.Write(client, []byte("GET / HTTP/"+version+"\r\nHost: example.com\r\n\r\n"))
		origin := h.acceptSoon()
		h.readSoon(origin)
		fds, origins = append(fds, client), append(origins, origin)
		unsent := []byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
		var want []byte
		for i := 0; len(want) < 2*len(stalledBody); i++ {
			piece := stalledBody[:1+i*7919%40_000]
			want = append(want, piece...)
			unsent = append(fmt.Appendf(unsent, "%x\r\n%s", len(piece), piece), "\r\n"...)
		}
		unsent = append(unsent, "0\r\n\r\n"...)
		for range 50 { // it reads nothing at first
			unsent = pour(origin, unsent)
			h.poll()
		}
		require.LessOrEqual(t, h.pool.Used(), h.pool.AheadMax(), "HTTP/%s: clients that read nothing hold blocks that others need", version)
		var head, body []byte
		buf := make([]byte, 64<<10)
		h.pollUntil(func() bool {
			unsent = pour(origin, unsent)
			for {
				n, errno := sys.Read(client, buf[:1+len(body)%20_000])
				if errno != 0 || n == 0 {
					break
				}
				body = append(body, buf[:n]...)
			}
			_, plain, _ := bytes.Cut(body, []byte("\r\n\r\n"))
			return bytes.HasSuffix(body, []byte("\r\n0\r\n\r\n")) || version == "1.0" && len(plain) >= len(want)
		})
		head, body, _ = bytes.Cut(body, []byte("\r\n\r\n"))
		if version == "1.1" {
			require.Contains(t, string(head), "chunked")
			decoded, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(body)))
			require.NoError(t, err)
			body = decoded
		}
		require.True(t, bytes.Equal(want, body), "HTTP/%s: %d bytes of %d", version, len(body), len(want))
	}
	require.Greater(t, h.engine.Pipes.Stats.PeekedBytes, before, "nothing has gone without a block")
	for i := range fds {
		sys.Close(fds[i])
		sys.Close(origins[i])
	}
	h.pollUntil(func() bool { return h.engine.InFlight() == 0 })
}

// TestPeekedBodyTimesOut: a body of which nothing is held, because memory is short, is ended by send_timeout like any other when its client takes nothing.
func TestPeekedBodyTimesOut(t *testing.T) {
	for _, framing := range []string{"Content-Length: 1048576\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n100000\r\n"} {
		h := newHarness(t, harnessOptions{Unix: true, Blocks: 32, Location: func(l *Location) { l.SendTimeoutMs = 100 }})
		ease := h.press()
		client := h.pairClient()
		sys.Write(client, []byte("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"))
		origin := h.acceptSoon()
		h.readSoon(origin)
		unsent := append([]byte("HTTP/1.1 200 OK\r\n"+framing), stalledBody...)
		for deadline := time.Now().Add(10 * time.Second); h.engine.InFlight() != 0; {
			require.True(t, time.Now().Before(deadline), "%q: a client that takes nothing is waited for", framing)
			unsent = pour(origin, unsent)
			h.poll()
			<-time.After(time.Millisecond)
		}
		require.NotZero(t, h.engine.Pipes.Stats.PeekedBytes, framing)
		ease()
		sys.Close(client)
		sys.Close(origin)
	}
}

// TestPeekedHead: while memory is short, the head of a response is taken without the body behind it, so that a client that takes nothing holds no
// block for it; a short body comes along as ever.
func TestPeekedHead(t *testing.T) {
	for name, head := range map[string]string{"at once": "", "behind an interim response": "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, harnessOptions{Unix: true, Blocks: 32})
			ease := h.press()
			used := h.pool.Used()
			client := h.pairClient()
			defer sys.Close(client)
			sys.Write(client, []byte("GET /short HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"))
			origin := h.accept()
			defer sys.Close(origin)
			buf := make([]byte, 64<<10)
			h.read(origin, buf)
			sys.Write(origin, []byte(head+"HTTP/1.1 200 OK\r\nContent-"))
			for range 3 {
				h.poll()
			}
			sys.Write(origin, []byte("Length: 5\r\n\r\nshort"))
			n := h.read(client, buf)
			require.True(t, strings.HasSuffix(string(buf[:n]), "\r\n\r\nshort"), "%q", buf[:n])

			sys.Write(client, []byte("GET /long HTTP/1.0\r\n\r\n"))
			h.read(origin, buf)
			unsent := append(fmt.Appendf(nil, "%sHTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", head, len(stalledBody)), stalledBody...)
			r := h.inFlight()
			h.pollUntil(func() bool {
				unsent = pour(origin, unsent)
				return r.state == StateRelay && !r.client.Writable()
			})
			require.Equal(t, uint64(r.relayPipe.Raw), h.engine.Pipes.Stats.PeekedBytes, "some of the body was read into a block")
			h.pollUntil(func() bool { return h.pool.Used() == used })
			h.finishStalled(client, origin, unsent)
			ease()
			h.pollUntil(func() bool { return h.engine.InFlight() == 0 })
			h.settled()
		})
	}
}
