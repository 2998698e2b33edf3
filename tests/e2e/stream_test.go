// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// streamCase is a stream: /BUFFERING/TYPE/SUBTYPE/FRAMING is what is asked for.
type streamCase struct {
	target string
	times  chan time.Time // when the origin sent each byte
}

// streamOrigin sends one byte at a time, and says when it has.
func streamOrigin(t testing.TB, cases []streamCase) *origin {
	times := map[string]chan time.Time{}
	for _, c := range cases {
		times[c.target] = c.times
	}
	return newOrigin(t, func(c *originConn) {
		for r := c.request(); r != nil; r = c.request() {
			parts := strings.Split(r.target, "/")
			head, before, behind, end := "HTTP/1.1 200 OK\r\nContent-Type: "+parts[2]+"/"+parts[3]+"\r\n", "", "", ""
			switch parts[4] {
			case "chunked":
				head += "Transfer-Encoding: chunked\r\n"
				before, behind, end = "1\r\n", "\r\n", "0\r\n\r\n"
			case "length":
				head += fmt.Sprintf("Content-Length: %d\r\n", streamBytes)
			default:
				head += "Connection: close\r\n"
			}
			c.write(head + "\r\n")
			for range streamBytes {
				time.Sleep(streamPeriod) // the stream's pace, not a wait for something
				times[r.target] <- time.Now()
				c.write(before + "e" + behind)
			}
			c.write(end)
			if parts[4] == "close" {
				return
			}
		}
	})
}

const (
	streamBytes  = 4
	streamPeriod = time.Second
	// streamLate is what the test takes for too late, on a machine that is busy with something else: bytes
	// that are held back would be a whole period late. It prints what it was.
	streamLate = streamPeriod * 3 / 4
)

// A byte of a stream that arrives is passed on in the same turn, whether the
// proxy is told to buffer or not, and whatever the stream's type and framing.
func TestStreamBytesArriveAtOnce(t *testing.T) {
	t.Parallel()
	var cases []streamCase
	for _, buffering := range []string{"on", "off"} {
		if useNginx() && buffering == "on" {
			continue // it waits for a buffer to fill
		}
		for _, kind := range []string{"text/event-stream", "text/plain", "application/x-ndjson"} {
			for _, as := range []string{"chunked", "length", "close"} {
				cases = append(cases, streamCase{"/" + buffering + "/" + kind + "/" + as, make(chan time.Time, streamBytes)})
			}
		}
	}
	o := streamOrigin(t, cases)
	p := start(t, site{origin: o.addr, more: location("/off/", `proxy_pass = "http://app"`, "proxy_buffering = false")})
	late := make(chan time.Duration, len(cases)*streamBytes)
	together(t, cases, func(tt streamCase) error {
		c, err := p.tryDial()
		if err != nil {
			return err
		}
		defer c.Close()
		c.within(ioDeadline)
		r, err := c.tryAsk("GET", tt.target)
		if err != nil {
			return err
		}
		body, err := r.stream(c.br, "GET")
		if err != nil {
			return err
		}
		for range streamBytes {
			var b [1]byte
			if n, err := body.Read(b[:]); n == 0 {
				return err
			}
			late <- time.Since(<-tt.times)
		}
		return nil
	})
	close(late)
	var all []time.Duration
	for d := range late {
		all = append(all, d)
	}
	if len(all) == 0 {
		return
	}
	slices.Sort(all)
	t.Logf("%d bytes, from the origin's write to the client's read: first quarter %v, median %v, last %v", len(all), all[len(all)/4], all[len(all)/2], all[len(all)-1])
	if last := all[len(all)-1]; last > streamLate {
		t.Errorf("a byte came %v after it had been sent", last)
	}
}
