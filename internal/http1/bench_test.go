// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package http1

import (
	"bytes"
	"testing"
)

const (
	wrkRequest     = "GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n"
	browserRequest = "GET /articles/2024/05/some-longer-title.html?utm_source=feed&id=12345 HTTP/1.1\r\n" +
		"Host: www.example.com\r\n" +
		"Connection: keep-alive\r\n" +
		"Cache-Control: max-age=0\r\n" +
		"Upgrade-Insecure-Requests: 1\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36\r\n" +
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n" +
		"Sec-Fetch-Site: none\r\n" +
		"Accept-Encoding: gzip, deflate, br\r\n" +
		"Accept-Language: en-US,en;q=0.9\r\n" +
		"Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n\r\n"
	originResponse = "HTTP/1.1 200 OK\r\n" +
		"Server: nginx/1.27.4\r\n" +
		"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n" +
		"Content-Type: text/html\r\n" +
		"Content-Length: 28\r\n" +
		"Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n" +
		"Connection: keep-alive\r\n" +
		"ETag: \"67a34a5e-1c\"\r\n" +
		"Accept-Ranges: bytes\r\n\r\n"
)

func BenchmarkRequest(b *testing.B) {
	lim := DefaultLimits()
	for _, bench := range []struct{ name, text string }{{"wrk", wrkRequest}, {"browser", browserRequest}} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			buf := append([]byte(bench.text), make([]byte, 64)...) // as in a block: there is room behind the head
			var h RequestHead
			for b.Loop() {
				h.Reset()
				if h.Parse(buf, &lim) != Done {
					b.Fatal(h.Refusal)
				}
			}
		})
	}
}

func BenchmarkResponse(b *testing.B) {
	b.ReportAllocs()
	lim := DefaultLimits()
	buf := []byte(originResponse)
	var h ResponseHead
	for b.Loop() {
		h.Reset()
		if h.Parse(buf, &lim) != Done {
			b.Fatal(h.Refusal)
		}
	}
}

func BenchmarkChunked(b *testing.B) {
	for _, bench := range []struct {
		name string
		size int
	}{{"28", 28}, {"16k", 16 << 10}} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			body := AppendChunkHead(nil, bench.size)
			body = append(append(body, make([]byte, bench.size)...), "\r\n"+LastChunk...)
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				var c Chunked
				for rest := body; ; {
					n, _, v := c.Next(rest)
					rest = rest[n:]
					if v == Done {
						break
					}
				}
			}
		})
	}
}

func BenchmarkNormalizePath(b *testing.B) {
	b.ReportAllocs()
	raw := []byte("/a/b%20c/./d/../articles//some-longer-title.html")
	dst := make([]byte, 0, 128)
	for b.Loop() {
		if out, ok := NormalizePath(dst, raw, true); !ok || bytes.IndexByte(out, '%') >= 0 {
			b.Fatal("not normalized")
		}
	}
}

func BenchmarkWrite(b *testing.B) {
	b.ReportAllocs()
	dst := make([]byte, 0, 512)
	value := []byte("text/html")
	for b.Loop() {
		out := AppendStatusLine(dst, 200)
		out = AppendField(out, "Content-Type", value)
		out = AppendFieldInt(out, "Content-Length", 12345)
		if len(out) < 40 {
			b.Fatal("too short")
		}
	}
}
