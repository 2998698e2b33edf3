// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package http1

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func parseRequest(t *testing.T, text string) (*RequestHead, []byte) {
	t.Helper()
	lim := DefaultLimits()
	var h RequestHead
	require.Equal(t, Done, h.Parse([]byte(text), &lim), "%s", h.Refusal)
	return &h, []byte(text)
}

func TestLookupAndFind(t *testing.T) {
	h, buf := parseRequest(t, "GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\ncookie: c\r\nx-a: 2\r\nCOOKIE: d\r\n\r\n")
	require.Equal(t, 0, h.Lookup(FieldHost))
	require.Equal(t, 2, h.Lookup(FieldCookie), "the first of two")
	require.Equal(t, -1, h.Lookup(FieldDate))
	require.Equal(t, -1, h.Lookup(FieldOther))
	require.Equal(t, 1, h.Find(buf, []byte("x-a")))
	require.Equal(t, 2, h.Find(buf, []byte("cookie")))
	require.Equal(t, -1, h.Find(buf, []byte("date")))
	require.Equal(t, -1, h.Find(buf, []byte("x-b")))
	require.Equal(t, 3, h.FindNext(buf, []byte("x-a"), 2))
	require.Equal(t, 4, h.FindNext(buf, []byte("cookie"), 3))
	require.Equal(t, -1, h.FindNext(buf, []byte("x-a"), 4))
}

// Whatever a head has read, after Reset it reads as a new one does, and what it said stays until then.
func TestResetForgets(t *testing.T) {
	lim := DefaultLimits()
	texts := []string{
		"POST http://a/%41?b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n" +
			"Connection: close, upgrade, x\r\nUpgrade: y\r\nX: 1\r\n\r\n",
		"GET / HTTP/1.0\r\n\r\n",
		"\r\n\r\nGET / HTTP/1.1\r\nA: b\r\nHo",
		"OPTIONS * HTTP/1.1\r\nHost: \x00",
	}
	for _, first := range texts {
		for _, second := range texts {
			var fresh, used RequestHead
			v := used.Parse([]byte(first), &lim)
			if v != More {
				require.Equal(t, v, used.Parse([]byte(first+"X: y\r\n"), &lim), "a verdict stays")
			}
			used.Reset()
			require.Equal(t, fresh.Parse([]byte(second), &lim), used.Parse([]byte(second), &lim))
			used.first, fresh.first = [NumFieldIDs]uint16{}, [NumFieldIDs]uint16{} // only valid where seen
			used.last, fresh.last = lastHead{}, lastHead{}                         // see last_test.go
			if len(used.Fields) == 0 {
				used.Fields, fresh.Fields = nil, nil
			}
			require.Equal(t, fresh, used)
		}
	}
	var used ResponseHead
	require.Equal(t, Done, used.Parse([]byte(originResponse), &lim))
	used.Reset()
	require.Equal(t, Done, used.Parse([]byte("HTTP/1.0 204 No Content\r\n\r\n"), &lim))
	require.Equal(t, 204, used.Status)
	require.False(t, used.KeepAlive)
	require.Equal(t, int64(-1), used.ContentLength)
	require.Equal(t, -1, used.Lookup(FieldContentLength))
}

// The bytes of a line that has not ended are searched once.
func TestWorkIsLinear(t *testing.T) {
	lim := DefaultLimits()
	var h RequestHead
	buf := []byte("GET /" + strings.Repeat("a", 4000))
	require.Equal(t, More, h.Parse(buf, &lim))
	require.Equal(t, len(buf), h.scan)
	buf = append(buf, " HTTP/1.0\r"...)
	require.Equal(t, More, h.Parse(buf, &lim))
	require.Equal(t, len(buf)-1, h.scan, "only the CR is looked at again")
	buf = append(buf, "\nA: "...)
	require.Equal(t, More, h.Parse(buf, &lim))
	require.Equal(t, len(buf)-3, h.line, "the request line is not looked at again")
	require.Equal(t, len(buf), h.scan)
}

// What a refused request says of its method: whether the answer has a body depends on it.
func TestMethodOfRefused(t *testing.T) {
	lim := DefaultLimits()
	for text, want := range map[string]Method{
		"HEAD / HTTP/1.1\r\n\r\n": MethodHead, "HEAD x HTTP/1.1\r\n\r\n": MethodHead, "HEAD /\x00": MethodHead, "HEAD /\r ": MethodHead, "HEAD / HTTP/9.1\r\n": MethodHead,
		"HEADER /\x00": MethodOther, "head / HTTP/1.1\r\n": MethodOther, "HEAD\t/ HTTP/1.1\r\n": MethodOther, "helloGET / HTTP/1.1\r\n": MethodOther, "G.T / HTTP/1.1\r\n": MethodOther,
	} {
		var h RequestHead
		require.Equal(t, Bad, h.Parse([]byte(text), &lim), text)
		require.Equal(t, want, h.MethodID, text)
	}
}

// The methods that mean something here, and others.
func TestMethods(t *testing.T) {
	for name, want := range map[string]Method{
		"GET": MethodGet, "HEAD": MethodHead, "POST": MethodPost, "PUT": MethodPut, "DELETE": MethodDelete,
		"OPTIONS": MethodOptions, "TRACE": MethodTrace, "PATCH": MethodPatch,
		"GETS": MethodOther, "GE": MethodOther, "POSTS": MethodOther, "HEADER": MethodOther, "_-": MethodOther, "M-SEARCH": MethodOther,
	} {
		for _, target := range []string{"/", "/a?b", "http://a/?b"} {
			for _, version := range []string{"1.0", "1.1"} {
				h, buf := parseRequest(t, name+" "+target+" HTTP/"+version+"\r\nHost: a\r\n\r\n")
				require.Equal(t, want, h.MethodID, name)
				require.Equal(t, name, string(h.Method.Of(buf)))
				require.Equal(t, target, string(h.Target.Of(buf)))
				require.Equal(t, len(name)+1+len(target), h.Target.End())
			}
		}
	}
}

// A name that the last head had in this place is a guess, not more: what comes now decides.
func TestGuessedNames(t *testing.T) {
	lim := DefaultLimits()
	value := ": " + strings.Repeat("v", 40) + "\r\n"
	for id := FieldOther + 1; id < NumFieldIDs; id++ {
		for _, name := range []string{
			id.Name(), strings.ToUpper(id.Name()), id.Name() + "x", id.Name()[1:], id.Name()[:len(id.Name())-1], "Q" + id.Name()[1:],
			id.Name()[:len(id.Name())/2] + "q" + id.Name()[len(id.Name())/2+1:],
		} {
			text := []byte("HTTP/1.1 200 OK\r\n" + name + value + "\r\n")
			var fresh ResponseHead
			used := ResponseHead{Head: Head{Fields: []Field{{ID: id}}}}
			used.Reset()
			require.Equal(t, fresh.Parse(text, &lim), used.Parse(text, &lim), name)
			require.Equal(t, fresh.Fields, used.Fields, name)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	lim := DefaultLimits()
	var rq RequestHead
	var rs ResponseHead
	request, response := []byte(browserRequest), []byte(originResponse)
	dst := make([]byte, 0, 256)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		rq.Reset()
		rs.Reset()
		if rq.Parse(request, &lim) != Done || rs.Parse(response, &lim) != Done {
			panic("not done")
		}
		if rq.Find(request, []byte("sec-fetch-site")) < 0 {
			panic("not found")
		}
		_, _ = NormalizePath(dst, []byte("/a/../%41//b"), true)
		_ = AppendFieldInt(AppendStatusLine(dst, 200), "Content-Length", 12345)
	}))
}

func TestConnectionOptionsAreBounded(t *testing.T) {
	lim := DefaultLimits()
	for _, tc := range []struct {
		options int
		want    Verdict
	}{{maxConnectionOptions, Done}, {maxConnectionOptions + 1, Bad}} {
		var h RequestHead
		text := "GET / HTTP/1.0\r\nConnection: " + strings.Repeat("x,", tc.options/2) + "\r\n" +
			"Connection: ,," + strings.Repeat("y ,", tc.options-tc.options/2) + "\r\n\r\n"
		require.Equal(t, tc.want, h.Parse([]byte(text), &lim))
	}
}

// A known name is found in any case, and nothing else that looks like it: not with one byte changed, not longer, not shorter.
func TestKnownFields(t *testing.T) {
	for id := FieldOther + 1; id < NumFieldIDs; id++ {
		name := id.Name()
		require.NotEmpty(t, name)
		require.Equal(t, strings.ToLower(name), string(id.LowerName()))
		for _, text := range []string{name, strings.ToLower(name), strings.ToUpper(name)} {
			require.Equal(t, id, FieldByName([]byte(text)), text)
			for i := range len(text) {
				for c := range 256 {
					changed := []byte(text)
					changed[i] = byte(c)
					if !strings.EqualFold(string(changed), name) || c >= 0x80 {
						require.NotEqual(t, id, FieldByName(changed), "%q", changed)
					}
				}
			}
			require.NotEqual(t, id, FieldByName([]byte(text+"x")))
			require.NotEqual(t, id, FieldByName([]byte(text[1:])))
		}
	}
	require.Equal(t, FieldOther, FieldByName(nil))
	require.Empty(t, FieldOther.Name())
	require.True(t, FieldConnection.HopByHop())
	require.False(t, FieldHost.HopByHop())
}

// controlIndex against the loop that it stands for, for every byte at every place.
func TestControlIndex(t *testing.T) {
	for size := range 40 {
		for at := range size {
			for c := range 256 {
				b := bytes.Repeat([]byte{0xff}, size)
				b[at] = byte(c)
				if at+1 < size {
					b[at+1] = 0 // a later one must not hide an earlier one
				}
				want := size
				for i := size - 1; i >= 0; i-- {
					if b[i] < 0x20 || b[i] == 0x7f {
						want = i
					}
				}
				require.Equal(t, want, controlIndex(b, 0), "%q", b)
				require.Equal(t, max(want, at), controlIndex(b, at), "%q", b)
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	seen := map[string]bool{}
	for r := range numRefusals {
		require.NotEmpty(t, r.String())
		require.False(t, seen[r.String()], "two refusals say %q", r)
		seen[r.String()] = true
		if r != RefusedNone {
			require.Contains(t, []int{400, 405, 414, 501, 505}, r.Status())
		}
	}
	require.Zero(t, RefusedNone.Status())
	require.Equal(t, "unknown refusal", numRefusals.String())
	require.True(t, RefusedTooManyFields.TooLarge())
	require.False(t, RefusedLineTooLong.TooLarge())
	require.Equal(t, "more done bad", fmt.Sprint(More, Done, Bad))
}
