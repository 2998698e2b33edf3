// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package http1

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"strings"
	"testing"
)

const largestInput = 1500

var requestSeeds = []string{
	wrkRequest, browserRequest,
	"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.0\r\n\r\n",
	"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n",
	"GET http://a.b:80/%2e%2e?x HTTP/1.1\nHost: y\nConnection: close, x\nX: z\n\n",
	"OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\nExpect: 100-continue\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
	"\r\n\r\nGET //./../a%zz HTTP/1.0\r\nA_b.c(: \t x\ty \r\n\r\n",
	"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: x\nA: b\r\nC:\td \n\r\n", "GET / HTTP/1.1\r\nHost: x\n\r\r\n", "\nGET / HTTP/1.1\nHost: x\r\n\n",
	"GET / HTTP/1.0\r\nA: b\r\n c\r\n\r\n", "GET / HTTP/2.0\r\n", "GET\x00", "A : b",
}

// FuzzRequest: however the bytes are cut the result is the same; a head that is accepted, written again from its parts, reads
// the same; a path is plain exactly if normalizing does not change it; and net/http, if it accepts too, reads the same.
func FuzzRequest(f *testing.F) {
	for _, seed := range requestSeeds {
		f.Add([]byte(seed), uint16(10), false)
		f.Add([]byte(seed), uint16(30), true)
	}
	f.Fuzz(func(t *testing.T, data []byte, cut uint16, lenient bool) {
		if len(data) > largestInput {
			return
		}
		lim := Limits{LineBytes: 200, HeadBytes: 1000, Fields: 8, IgnoreInvalid: lenient, Underscores: cut&1 != 0}
		whole := requestText(data, nil, &lim)
		if split := requestText(data, []int{int(cut) % (len(data) + 1)}, &lim); split != whole {
			t.Fatalf("cut:\n%s\nwhole:\n%s", split, whole)
		}
		if single := requestText(data, everywhere(len(data)), &lim); single != whole {
			t.Fatalf("byte by byte:\n%s\nwhole:\n%s", single, whole)
		}
		var h RequestHead
		v := h.Parse(data, &lim)
		for shift := range 2 { // guesses that are right, and guesses that are wrong
			used := RequestHead{Head: leftBehind(&h.Head, shift)}
			if text := readRequest(&used, data, nil, &lim); text != whole {
				t.Fatalf("with a used head:\n%s\nwith a new one:\n%s", text, whole)
			}
		}
		if v != Done {
			return
		}
		path := h.Path.Of(data)
		normal, ok := NormalizePath(nil, path, true)
		if same := ok && bytes.Equal(normal, path); same != h.PlainPath {
			t.Fatalf("PlainPath %t, but %q becomes %q %t", h.PlainPath, path, normal, ok)
		}
		again := fmt.Appendf(nil, "%s %s HTTP/1.%d\r\n", h.Method.Of(data), h.Target.Of(data), h.Minor)
		again = appendFields(again, &h.Head, data)
		lim.LineBytes, lim.HeadBytes = 1000, 2000 // it may be longer by the white space and CRs that were left out
		if text := requestText(again, nil, &lim); withoutLength(text) != withoutLength(whole) {
			t.Fatalf("written again:\n%s\nfirst:\n%s", text, whole)
		}
		compareRequest(t, data, &h)
	})
}

// leftBehind is a head after Reset that has read h before, with the ids that it left behind shifted.
func leftBehind(h *Head, shift int) Head {
	used := Head{Fields: append([]Field(nil), h.Fields...)}
	for i := range used.Fields {
		used.Fields[i].ID = FieldID((int(used.Fields[i].ID) + shift) % int(NumFieldIDs))
	}
	used.reset()
	return used
}

func appendFields(dst []byte, h *Head, buf []byte) []byte {
	for _, f := range h.Fields {
		dst = AppendFieldBytes(dst, f.Name.Of(buf), f.Value.Of(buf))
	}
	return append(dst, "\r\n"...)
}

// withoutLength takes the head's length off a rendered result.
func withoutLength(text string) string {
	_, rest, _ := strings.Cut(text, ":")
	return rest
}

// compareRequest reads the request with net/http; if that accepts it too, both must have read the same.
func compareRequest(t *testing.T, data []byte, h *RequestHead) {
	r := bufio.NewReader(bytes.NewReader(bytes.TrimLeft(data, "\r\n"))) // net/http does not skip the empty lines before the request line
	req, err := http.ReadRequest(r)
	if err != nil {
		return
	}
	if got := string(h.Method.Of(data)); got != req.Method {
		t.Fatalf("method %q, net/http has %q", got, req.Method)
	}
	if got := string(h.Target.Of(data)); got != req.RequestURI {
		t.Fatalf("target %q, net/http has %q", got, req.RequestURI)
	}
	if got := string(h.Authority.Of(data)); got != req.Host {
		t.Fatalf("authority %q, net/http has %q", got, req.Host)
	}
	if h.Form == OriginForm && h.HasQuery && string(h.Query.Of(data)) != req.URL.RawQuery {
		t.Fatalf("query %q, net/http has %q", h.Query.Of(data), req.URL.RawQuery)
	}
	compareFields(t, data, &h.Head, req.Header)
	compareBody(t, data[h.Len:], &h.Head, req.Body, req.ContentLength, h.HasBody())
}

// compareFields compares all fields but those that net/http moves somewhere else, or adds to.
func compareFields(t *testing.T, data []byte, h *Head, header http.Header) {
	ours := http.Header{}
	for _, f := range h.Fields {
		ours.Add(string(f.Name.Of(data)), string(f.Value.Of(data)))
	}
	moved := map[string]bool{"Host": true, "Transfer-Encoding": true, "Trailer": true, "Cache-Control": true, "Content-Length": true}
	for name, values := range ours {
		if !moved[name] && fmt.Sprintf("%q", values) != fmt.Sprintf("%q", header[name]) {
			t.Fatalf("%s %q, net/http has %q", name, values, header[name])
		}
	}
	for name, values := range header {
		if !moved[name] && len(ours[name]) == 0 && !dropped(name) {
			t.Fatalf("%s %q only in net/http", name, values)
		}
	}
}

// dropped says that IgnoreInvalid may have left the field out.
func dropped(name string) bool {
	for i := range len(name) {
		if chars[name[i]]&charName == 0 {
			return true
		}
	}
	return false
}

// compareBody reads the body both ways; what is complete for us must be complete and the same for net/http.
func compareBody(t *testing.T, rest []byte, h *Head, body io.Reader, length int64, hasBody bool) {
	theirs, err := io.ReadAll(body)
	switch {
	case !hasBody:
		if err != nil || len(theirs) > 0 {
			t.Fatalf("no body, net/http has %q, %v", theirs, err)
		}
	case h.Chunked:
		if length != -1 {
			t.Fatalf("chunked, net/http has length %d", length)
		}
		ours, trailer, _, v := decodeChunked(rest, nil)
		// net/http has rules of its own for what may be in a trailer section, and takes no space before an extension.
		if v != Done || err != nil && (len(trailer) > 0 || bytes.ContainsAny(rest, " \t")) {
			return
		}
		if err != nil || !bytes.Equal(ours, theirs) {
			t.Fatalf("body %q, net/http has %q, %v", ours, theirs, err)
		}
	default:
		if length != h.ContentLength {
			t.Fatalf("length %d, net/http has %d", h.ContentLength, length)
		}
		if ours := rest[:min(h.ContentLength, int64(len(rest)))]; !bytes.Equal(ours, theirs) {
			t.Fatalf("body %q, net/http has %q", ours, theirs)
		}
	}
}

// FuzzResponse does for responses what FuzzRequest does for requests.
func FuzzResponse(f *testing.F) {
	for _, seed := range []string{
		originResponse, originResponse + strings.Repeat("x", 40),
		"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n",
		"HTTP/1.0 204 No\xffContent\nConnection: keep-alive, x\nX: y\n\n",
		"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x00",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", "HTTP/1.9 304 \r\nContent-Length: 7\r\n\r\n",
		"HTTP/1.1 200 OK\r\nA: b\r\n\tc\r\n\r\n", "HTTP/1.1 200 OK\nA: b\r\nTransfer-Encoding: chunked\n\r\n1\r\na\r\n0\r\nB: c\n\n",
	} {
		f.Add([]byte(seed), uint16(10))
	}
	f.Fuzz(func(t *testing.T, data []byte, cut uint16) {
		if len(data) > largestInput {
			return
		}
		lim := Limits{LineBytes: 200, HeadBytes: 1000, Fields: 10}
		whole := responseText(data, nil, &lim, MethodGet)
		if split := responseText(data, []int{int(cut) % (len(data) + 1)}, &lim, MethodGet); split != whole {
			t.Fatalf("cut:\n%s\nwhole:\n%s", split, whole)
		}
		if single := responseText(data, everywhere(len(data)), &lim, MethodGet); single != whole {
			t.Fatalf("byte by byte:\n%s\nwhole:\n%s", single, whole)
		}
		var h ResponseHead
		v := h.Parse(data, &lim)
		for shift := range 2 {
			used := ResponseHead{Head: leftBehind(&h.Head, shift)}
			if text := readResponse(&used, data, nil, &lim, MethodGet); text != whole {
				t.Fatalf("with a used head:\n%s\nwith a new one:\n%s", text, whole)
			}
		}
		if v != Done {
			return
		}
		again := fmt.Appendf(nil, "HTTP/1.%d %d %s\r\n", h.Minor, h.Status, h.Reason.Of(data))
		again = appendFields(again, &h.Head, data)
		lim.LineBytes, lim.HeadBytes = 1000, 2000
		if text := responseText(again, nil, &lim, MethodGet); withoutLength(text) != withoutLength(whole) {
			t.Fatalf("written again:\n%s\nfirst:\n%s", text, whole)
		}
		compareResponse(t, data, &h)
	})
}

func compareResponse(t *testing.T, data []byte, h *ResponseHead) {
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(data)), nil)
	if err != nil {
		return
	}
	if h.Status != resp.StatusCode {
		t.Fatalf("status %d, net/http has %d", h.Status, resp.StatusCode)
	}
	compareFields(t, data, &h.Head, resp.Header)
	kind := h.Body(MethodGet)
	if kind == BodyUntilClose {
		if theirs, _ := io.ReadAll(resp.Body); !bytes.Equal(theirs, data[h.Len:]) {
			t.Fatalf("body %q, net/http has %q", data[h.Len:], theirs)
		}
		return
	}
	if kind == BodyNone && h.Chunked {
		return // net/http takes the coding off and would read a body
	}
	compareBody(t, data[h.Len:], &h.Head, resp.Body, resp.ContentLength, kind != BodyNone)
}

// FuzzChunked: however the bytes are cut the result is the same, and net/http's reader finds the same payload in what is Done.
func FuzzChunked(f *testing.F) {
	for _, seed := range []string{
		"5\r\nhello\r\n0\r\n\r\n", "A;b=c;d=\"\\e\" ; f\r\n0123456789\r\n00\r\nA: b\r\nC:\r\n\r\nrest", "7fffffffffffffff\r\nx",
		"0000000000000000000\r\n\r\n", "5\nhello\n0\n\n", "1\r\na\r\n1\r\nb\r\n2;x\r\ncd\r\n0\r\n\r\n", "1 \r\na",
		"1\r\na\r\n0\r\nA: b\nC: d\r\n\n", "0\r\nA: b\n\r\n", "0\r\n\n", "0\r\nA: b\r\r\n\r\n",
	} {
		f.Add([]byte(seed), uint16(4))
	}
	f.Fuzz(func(t *testing.T, data []byte, cut uint16) {
		if len(data) > largestInput {
			return
		}
		whole := chunkedText(data, nil)
		if split := chunkedText(data, []int{int(cut) % (len(data) + 1)}); split != whole {
			t.Fatalf("cut: %s, whole: %s", split, whole)
		}
		if single := chunkedText(data, everywhere(len(data))); single != whole {
			t.Fatalf("byte by byte: %s, whole: %s", single, whole)
		}
		payload, _, used, v := decodeChunked(data, nil)
		if v != Done {
			return
		}
		if _, _, _, v := decodeChunked(data[:used-1], nil); v != More {
			t.Fatalf("%s without the last byte", v)
		}
		theirs, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(data)))
		if err != nil && (bytes.ContainsAny(data, " \t") || bytes.Contains(data, []byte("00000000"))) {
			return // it takes no space before an extension, which RFC 9112 says must be taken, and 16 digits of a size at most
		}
		if err != nil || !bytes.Equal(theirs, payload) {
			t.Fatalf("payload %q, net/http has %q, %v", payload, theirs, err)
		}
	})
}

// FuzzNormalizePath compares with a model that decodes first, then splits, and checks that the result, escaped, is normal.
func FuzzNormalizePath(f *testing.F) {
	for _, seed := range []string{"/", "/a//b/./c/../d", "/%2e%2E/a", "/a%2f%2f..", "/a/..%00", "/%", "/a/.../..", "//..//", "*", "a"} {
		f.Add([]byte(seed), true)
		f.Add([]byte(seed), false)
	}
	f.Fuzz(func(t *testing.T, raw []byte, merge bool) {
		prefix := []byte("../")
		out, ok := NormalizePath(prefix, raw, merge)
		want, wantOK := modelPath(string(raw), merge)
		if ok != wantOK || string(out) != "../"+want {
			t.Fatalf("%q merge %t: %q %t, model %q %t", raw, merge, out[len(prefix):], ok, want, wantOK)
		}
		if !ok || want == "*" {
			return
		}
		again, ok := NormalizePath(nil, AppendEscapedPath(nil, []byte(want)), merge)
		if !ok || string(again) != want {
			t.Fatalf("%q, again: %q %t", want, again, ok)
		}
	})
}

func modelPath(raw string, merge bool) (string, bool) {
	if raw == "*" {
		return raw, true
	}
	if !strings.HasPrefix(raw, "/") {
		return "", false
	}
	var decoded strings.Builder
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c == '%' {
			if i+3 > len(raw) || strings.Trim(raw[i+1:i+3], "0123456789abcdefABCDEF") != "" {
				return "", false
			}
			if _, err := fmt.Sscanf(raw[i+1:i+3], "%02x", &c); err != nil {
				return "", false
			}
			i += 2
		}
		if c == 0 {
			return "", false
		}
		decoded.WriteByte(c)
	}
	parts := strings.Split(decoded.String(), "/")[1:]
	var out []string
	for i, part := range parts {
		last := i == len(parts)-1
		switch part {
		case "..":
			if len(out) == 0 {
				return "", false
			}
			out = out[:len(out)-1]
			fallthrough
		case ".":
			if last {
				out = append(out, "")
			}
		default:
			if part != "" || last || !merge {
				out = append(out, part)
			}
		}
	}
	return "/" + strings.Join(out, "/"), true
}
