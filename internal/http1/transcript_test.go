// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package http1

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// The transcripts under testdata show what is read and what comes of it. Each input line is one line of the message, with
// CR LF added, and the empty line that ends a head is added after the last; with the argument raw nothing is added. Escapes
// are Go's. What comes out must be the same however the input is cut: transcript checks that too.
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata/transcripts", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "request", "response":
				return transcriptHead(t, d)
			case "chunked":
				return transcriptChunked(t, d)
			case "path":
				return transcriptPath(t, d)
			case "escape":
				return string(AppendEscapedPath(nil, unescape(t, d.Input))) + "\n"
			}
			d.Fatalf(t, "unknown command %q", d.Cmd)
			return ""
		})
	})
}

// message gives the bytes that the input of a command stands for.
func message(t *testing.T, d *datadriven.TestData, end string) []byte {
	lines := strings.Split(d.Input, "\n")
	if d.HasArg("raw") {
		return unescape(t, strings.Join(lines, ""))
	}
	return unescape(t, strings.Join(lines, `\r\n`)+`\r\n`+end)
}

func unescape(t *testing.T, s string) []byte {
	var b strings.Builder
	for s != "" {
		r, multibyte, rest, err := strconv.UnquoteChar(s, 0)
		if err != nil {
			t.Fatalf("UnquoteChar(%q): %v", s, err)
		}
		if s = rest; r < 0x80 || !multibyte {
			b.WriteByte(byte(r))
		} else {
			b.WriteRune(r)
		}
	}
	return []byte(b.String())
}

// limits takes the limits from the arguments of a command; ignore_invalid is off unless asked for.
func limits(t *testing.T, d *datadriven.TestData) *Limits {
	lim := DefaultLimits()
	lim.IgnoreInvalid = d.HasArg("ignore_invalid")
	lim.Underscores = d.HasArg("underscores")
	d.MaybeScanArgs(t, "line", &lim.LineBytes)
	d.MaybeScanArgs(t, "head", &lim.HeadBytes)
	d.MaybeScanArgs(t, "fields", &lim.Fields)
	return &lim
}

func transcriptHead(t *testing.T, d *datadriven.TestData) string {
	buf, lim := message(t, d, `\r\n`), limits(t, d)
	read := requestText
	if d.Cmd == "response" {
		method := MethodGet
		if d.HasArg("HEAD") {
			method = MethodHead
		}
		read = func(buf []byte, cuts []int, lim *Limits) string { return responseText(buf, cuts, lim, method) }
	}
	whole := read(buf, nil, lim)
	for cut := range buf {
		if split := read(buf, []int{cut}, lim); split != whole {
			d.Fatalf(t, "cut at %d:\n%s\nwhole:\n%s", cut, split, whole)
		}
	}
	if single := read(buf, everywhere(len(buf)), lim); single != whole {
		d.Fatalf(t, "byte by byte:\n%s\nwhole:\n%s", single, whole)
	}
	return whole
}

func everywhere(n int) (cuts []int) {
	for i := range n {
		cuts = append(cuts, i)
	}
	return cuts
}

// requestText parses buf, first up to each of the cuts and then as a whole, and renders the result.
func requestText(buf []byte, cuts []int, lim *Limits) string {
	return readRequest(new(RequestHead), buf, cuts, lim)
}

func readRequest(h *RequestHead, buf []byte, cuts []int, lim *Limits) string {
	v := More
	for _, cut := range append(cuts, len(buf)) {
		// The bytes move between the calls: a head must not keep more than offsets.
		if v = h.Parse(bytes.Clone(buf[:cut]), lim); v != More {
			break
		}
	}
	if v != Done {
		return verdictText(v, h.Refusal)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "done %d: %s(%d) %q minor=%d", h.Len, h.Method.Of(buf), h.MethodID, h.Target.Of(buf), h.Minor)
	fmt.Fprintf(&b, "\n path=%q plain=%t", h.Path.Of(buf), h.PlainPath)
	if h.WholeServer {
		b.WriteString(" server")
	}
	if h.HasQuery {
		fmt.Fprintf(&b, " query=%q", h.Query.Of(buf))
	}
	fmt.Fprintf(&b, " authority=%q host=%q\n", h.Authority.Of(buf), h.Host.Of(buf))
	commonText(&b, &h.Head)
	if h.Expect100 {
		b.WriteString(" expect-100")
	}
	if h.HasBody() {
		b.WriteString(" body")
	}
	fieldsText(&b, &h.Head, buf)
	return b.String()
}

func responseText(buf []byte, cuts []int, lim *Limits, method Method) string {
	return readResponse(new(ResponseHead), buf, cuts, lim, method)
}

func readResponse(h *ResponseHead, buf []byte, cuts []int, lim *Limits, method Method) string {
	v := More
	for _, cut := range append(cuts, len(buf)) {
		if v = h.Parse(bytes.Clone(buf[:cut]), lim); v != More {
			break
		}
	}
	if v != Done {
		return strings.Replace(verdictText(v, h.Refusal), fmt.Sprint(h.Refusal.Status()), "502", 1)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "done %d: %d %q minor=%d\n", h.Len, h.Status, h.Reason.Of(buf), h.Minor)
	commonText(&b, &h.Head)
	if h.Interim() {
		b.WriteString(" interim")
	}
	b.WriteString([]string{" body=none", " body=length", " body=chunked", " body=until-close"}[h.Body(method)])
	fieldsText(&b, &h.Head, buf)
	return b.String()
}

func verdictText(v Verdict, why Refusal) string {
	if v == More {
		return "more\n"
	}
	return fmt.Sprintf("bad %d: %s\n", why.Status(), why)
}

func commonText(b *strings.Builder, h *Head) {
	if h.ContentLength >= 0 {
		fmt.Fprintf(b, " length=%d", h.ContentLength)
	}
	for _, flag := range []struct {
		set  bool
		name string
	}{{h.Chunked, " chunked"}, {h.KeepAlive, " keep-alive"}, {!h.KeepAlive, " close"}, {h.Upgrade, " upgrade"}} {
		if flag.set {
			b.WriteString(flag.name)
		}
	}
}

func fieldsText(b *strings.Builder, h *Head, buf []byte) {
	b.WriteByte('\n')
	for _, f := range h.Fields {
		fmt.Fprintf(b, "  %s: %q", f.Name.Of(buf), f.Value.Of(buf))
		if f.ID != FieldOther {
			b.WriteString(" known")
		}
		if f.Hop {
			b.WriteString(" hop")
		}
		b.WriteByte('\n')
	}
}

func transcriptChunked(t *testing.T, d *datadriven.TestData) string {
	buf := message(t, d, "")
	var repeat int
	if d.MaybeScanArgs(t, "repeat", &repeat); repeat > 0 {
		buf = bytes.Repeat(buf, repeat)
	}
	whole := chunkedText(buf, nil)
	for cut := range buf {
		if split := chunkedText(buf, []int{cut}); split != whole {
			d.Fatalf(t, "cut at %d:\n%s\nwhole:\n%s", cut, split, whole)
		}
	}
	if single := chunkedText(buf, everywhere(len(buf))); single != whole {
		d.Fatalf(t, "byte by byte:\n%s\nwhole:\n%s", single, whole)
	}
	return whole
}

// decodeChunked feeds buf, cut at the cuts, to a decoder. It gives the payload, the bytes of a trailer section with fields,
// and how many bytes were consumed.
func decodeChunked(buf []byte, cuts []int) (payload, trailer []byte, used int, v Verdict) {
	var c Chunked
	for _, cut := range append(cuts, len(buf)) {
		for {
			inTrailer := c.InTrailer()
			n, data, verdict := c.Next(buf[used:cut])
			if v = verdict; v == Bad {
				return nil, nil, 0, v
			}
			payload = append(payload, data...)
			if inTrailer {
				trailer = append(trailer, buf[used:used+n]...)
			}
			used += n
			if v == Done {
				return payload, trailer, used, v
			}
			if used == cut {
				break
			}
			if n == 0 {
				panic("Next: no progress")
			}
		}
	}
	return payload, trailer, used, v
}

func chunkedText(buf []byte, cuts []int) string {
	payload, trailer, used, v := decodeChunked(buf, cuts)
	if v == Bad {
		return "bad\n"
	}
	text := fmt.Sprintf("%s %d of %d: %q", v, used, len(buf), payload)
	if fields := strings.TrimRight(string(trailer), "\r\n"); v == Done && fields != "" {
		text += fmt.Sprintf(" trailer %q", fields)
	}
	return text + "\n"
}

// transcriptPath normalizes each line of the input, with merging and without.
func transcriptPath(t *testing.T, d *datadriven.TestData) string {
	var b strings.Builder
	for line := range strings.SplitSeq(d.Input, "\n") {
		raw := unescape(t, line)
		merged, ok := NormalizePath(nil, raw, true)
		kept, okKept := NormalizePath(nil, raw, false)
		switch {
		case !ok && !okKept:
			fmt.Fprintf(&b, "%s -> refused\n", line)
		case ok && okKept && bytes.Equal(merged, kept):
			fmt.Fprintf(&b, "%s -> %q\n", line, merged)
		default:
			fmt.Fprintf(&b, "%s -> %q %t, merge off %q %t\n", line, merged, ok, kept, okKept)
		}
	}
	return b.String()
}
