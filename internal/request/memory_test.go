// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"weir/internal/buffer"
	"weir/internal/route"
	"weir/internal/sys"
	"weir/internal/vars"
)

// template compiles a text.
func template(t testing.TB, text string) *vars.Template {
	t.Helper()
	tpl, err := vars.Compile(text)
	require.NoError(t, err)
	return tpl
}

// answerOf is the whole answer to a request on a new connection, which the engine closes.
func (h *harness) answerOf(request string) string {
	h.t.Helper()
	client := h.pairClient()
	defer sys.Close(client)
	sys.Write(client, []byte(request))
	return h.readAll(client)
}

// readAll is what arrives until the other side is closed.
func (h *harness) readAll(client int) string {
	h.t.Helper()
	var all []byte
	buf := make([]byte, 64<<10)
	for range 10_000 {
		n, errno := sys.Read(client, buf)
		switch {
		case n > 0:
			all = append(all, buf[:n]...)
		case errno == 0:
			return string(all)
		default:
			h.poll()
		}
	}
	h.t.Fatalf("not closed after %d bytes", len(all))
	return ""
}

// useReturn has every request answered with a text.
func useReturn(text string) func(*Location) {
	return func(l *Location) {
		tpl, err := vars.Compile(text)
		if err != nil {
			panic(err)
		}
		l.Proxy, l.Rules = nil, ReturnRules(&Return{Code: 200, Text: tpl})
	}
}

// TestArenaValues: what a request needs memory of its own for comes out right, whether it fits into a piece or not, and all of it is back afterwards.
func TestArenaValues(t *testing.T) {
	h := newHarness(t, harnessOptions{Location: useReturn("$uri|$args|$host|$http_long")})
	for _, n := range []int{1, 100, 5000} {
		long := strings.Repeat("v", n)
		host := strings.Repeat("H", min(n, 200)) + ".example"
		answer := h.answerOf("GET /%61/" + long + "/../b?x=%20 HTTP/1.1\r\nHost: " + host + "\r\nLong: " + long + "\r\nConnection: close\r\n\r\n")
		_, body, _ := strings.Cut(answer, "\r\n\r\n")
		require.Equal(t, "/a/b|x=%20|"+strings.ToLower(host)+"|"+long, body)
		h.settled()
	}
	require.NotZero(t, h.small.Stats().Peak)
	require.Greater(t, h.depot.Stats().LargeCached, 0, "a value of 5,000 bytes is larger than a piece")
}

// TestNoMemory: with no memory for its own values a request gets 503, and one that needs none is served.
func TestNoMemory(t *testing.T) {
	h := newHarness(t, harnessOptions{Location: useReturn("$uri")})
	var all *buffer.Block
	for b := h.small.Acquire(buffer.ClassResponse); b != nil; b = h.small.Acquire(buffer.ClassResponse) {
		b.Next, all = all, b
	}
	answer := h.answerOf("GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
	require.Contains(t, answer, "HTTP/1.1 503 ")
	require.Contains(t, answer, "Content-Length: 0\r\n")
	h.small.ReleaseChain(all)
	require.Contains(t, h.answerOf("GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), "HTTP/1.1 200 ")
	h.settled()
}

// TestNoBlocksForAnswer: an answer of weir's own for which there are not enough blocks is 503, not the end of the connection.
func TestNoBlocksForAnswer(t *testing.T) {
	h := newHarness(t, harnessOptions{Location: useReturn(strings.Repeat("text", 10<<10)), Blocks: 8})
	var all *buffer.Block
	for h.pool.Used() < 6 {
		b := h.pool.Acquire(buffer.ClassResponse)
		b.Next, all = all, b
	}
	client := h.pairClient()
	defer sys.Close(client)
	sys.Write(client, []byte("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"))
	h.pollUntil(func() bool { return h.pool.Used() == 6 && h.pool.Waiting() == 1 })
	h.pool.ReleaseChain(all.Next.Next.Next)
	all.Next.Next.Next = nil
	h.pollUntil(func() bool { return h.pool.Waiting() == 0 })
	for h.pool.Used() < 7 {
		b := h.pool.Acquire(buffer.ClassResponse)
		b.Next, all = all, b
	}
	sys.Write(client, []byte("\r\n"))
	answer := h.readAll(client)
	require.Contains(t, answer, "HTTP/1.1 503 ")
	require.Contains(t, answer, "\r\nContent-Length: 0\r\n")
	h.pool.ReleaseChain(all)
	h.settled()
}

// TestLargeHeads: a head that outgrows a block has memory from the depot, which bounds how many there are, and gives it back.
func TestLargeHeads(t *testing.T) {
	h := newHarness(t, harnessOptions{Location: useReturn("$request_length"), LargeBytes: 100 << 10})
	head := func(fields int) string {
		return "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + strings.Repeat("X: "+strings.Repeat("x", 4000)+"\r\n", fields) + "\r\n"
	}
	first := head(7)
	a := h.pairClient()
	defer sys.Close(a)
	sys.Write(a, []byte(first[:20_000]))
	h.pollUntil(func() bool { return h.depot.Stats().LargeUsed > 0 })
	require.Zero(t, h.pool.Used(), "the block that it was begun in is back")
	b := h.pairClient()
	defer sys.Close(b)
	sys.Write(b, []byte(first[:20_000]))
	h.pollUntil(func() bool { return h.depot.Stats().LargeUsed > 32<<10 })
	c := h.pairClient()
	defer sys.Close(c)
	sys.Write(c, []byte(first[:20_000]))
	h.pollUntil(func() bool { return h.depot.Stats().LargeUsed > 64<<10 })

	answer := h.answerOf(first[:20_000])
	require.Contains(t, answer, "HTTP/1.1 400 ", "there is no memory for a fourth one")
	sys.Write(a, []byte(first[20_000:]))
	_, body, _ := strings.Cut(h.readAll(a), "\r\n\r\n")
	require.Equal(t, fmt.Sprint(len(first)), body)
	for _, fd := range []int{b, c} {
		sys.ShutdownWrite(fd)
		h.readAll(fd)
	}
	h.settled()
}

// TestMaxRewrite: the room that is kept for further fields is not read into, and a head that would need it leaves the block.
func TestMaxRewrite(t *testing.T) {
	for _, tt := range []struct {
		room  int
		large bool
	}{{256, false}, {4 << 10, true}} {
		h := newHarness(t, harnessOptions{Location: useReturn("ok")})
		h.engine.MaxRewrite = tt.room
		client := h.pairClient()
		sys.Write(client, []byte("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"+strings.Repeat("X: "+strings.Repeat("x", 1000)+"\r\n", 14)))
		h.pollUntil(func() bool { return h.engine.InFlight() == 1 })
		require.Equal(t, tt.large, h.depot.Stats().LargeUsed > 0, "with room for %d bytes", tt.room)
		sys.Write(client, []byte("\r\n"))
		require.Contains(t, h.readAll(client), "HTTP/1.1 200 ")
		sys.Close(client)
		h.settled()
	}
}

// pollUntil turns the loop until something is so.
func (h *harness) pollUntil(is func() bool) {
	h.t.Helper()
	for range 1000 {
		if is() {
			return
		}
		h.poll()
	}
	h.t.Fatal("it does not come to it")
}

// TestCrowdedHeads bounds the requests with very many header fields at one time; their tables are not kept.
func TestCrowdedHeads(t *testing.T) {
	h := newHarness(t, harnessOptions{Location: useReturn("ok"), Conns: 160, Blocks: 200})
	head := "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: y\r\n", fieldsKept+1)
	most := h.engine.crowdedMax()
	clients := make([]int, most)
	for i := range clients {
		clients[i] = h.pairClient()
		sys.Write(clients[i], []byte(head))
	}
	h.pollUntil(func() bool { return h.engine.crowded == most })
	require.Contains(t, h.answerOf(head), "HTTP/1.1 503 ", "when its head is not complete")
	require.Contains(t, h.answerOf(head+"\r\n"), "HTTP/1.1 503 ")
	require.Contains(t, h.answerOf("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), "HTTP/1.1 200 ")
	for i, fd := range clients {
		if i%2 == 0 {
			sys.Write(fd, []byte("Connection: close\r\n\r\n"))
			require.Contains(t, h.readAll(fd), "HTTP/1.1 200 ")
		}
		sys.Close(fd)
	}
	h.pollUntil(func() bool { return h.engine.InFlight() == 0 && h.table.Used() == 0 })
	require.Zero(t, h.engine.crowded)
	for _, r := range h.engine.relief.all {
		require.LessOrEqual(t, cap(r.head.Fields), fieldsKept)
	}
	h.settled()
}

// TestCaptures: the groups of an expression that matched a path outlive the head's place.
func TestCapturesInArena(t *testing.T) {
	h := newHarness(t, harnessOptions{Location: useReturn("$1-$2")})
	locations, err := route.NewLocations([]route.Location{{Path: "~ ^/(a+)/(b+)$"}})
	require.NoError(t, err)
	h.bind.Default.Locations, h.bind.Default.List[0].Pattern = locations, locations.Pattern(0)
	_, body, _ := strings.Cut(h.answerOf("GET /aaa/b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), "\r\n\r\n")
	require.Equal(t, "aaa-b", body)
	h.settled()
}

// TestHeadAtTheEdge: a response's head that is longer than a block while it is made, by a field that is then left out, or that ends near the
// block's end, arrives as it is.
func TestHeadAtTheEdge(t *testing.T) {
	h := newHarness(t, harnessOptions{Location: func(l *Location) {
		useReturn("body")(l)
		l.AddHeaders = []AddHeader{
			{SetHeader: NewSetHeader("X-Long", template(t, "$arg_long"))},
			{SetHeader: NewSetHeader(strings.Repeat("Y", 100), template(t, "$arg_none"))},
		}
	}})
	h.bind.Default.Limits.LineBytes, h.bind.Default.Limits.HeadBytes = 20_000, 32_000
	for n := 15_900; n < 16_400; n += 7 {
		long := bytes.Repeat([]byte("l"), n)
		answer := h.answerOf("GET /?long=" + string(long) + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		head, body, _ := strings.Cut(answer, "\r\n\r\n")
		require.Equal(t, "body", body, "with %d bytes", n)
		require.True(t, strings.HasSuffix(head, "\r\nX-Long: "+string(long)), "with %d bytes: ...%q", n, head[max(len(head)-40, 0):])
	}
	h.settled()
}
