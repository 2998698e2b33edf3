// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package interop

import (
	"bufio"
	"errors"
	"io"
	"net"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// answer is what came back on one connection.
type answer struct {
	responses []*message
	interims  []string // status lines of interim responses
	broken    string   // how the last response failed
	closed    bool
}

// probe finds out whether a connection is kept.
const probe = "GET /--probe HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n"

var requestLine = regexp.MustCompile(`(?m)^([A-Za-z]+) \S+ HTTP/1`)

// exchange sends a request's pieces, and reads what is answered.
func exchange(addr string, r request) *answer {
	a := &answer{}
	c, err := net.Dial("tcp", addr)
	if err != nil {
		a.broken = err.Error()
		return a
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	in := bufio.NewReader(c)
	for _, piece := range r.pieces {
		_, _ = io.WriteString(c, piece) // what fails, reading finds out
		methods := requestLine.FindAllStringSubmatch(piece, -1)
		for i := range r.responses {
			method := "GET"
			if i < len(methods) {
				method = methods[i][1]
			}
			if !a.read(in, method) {
				a.closed = true
				return a
			}
		}
	}
	if strings.EqualFold(a.responses[len(a.responses)-1].field("Connection"), "close") {
		_, err = in.ReadByte()
	} else {
		_, _ = io.WriteString(c, probe)
		_, err = in.ReadByte()
	}
	a.closed = errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)
	if err != nil && !a.closed {
		a.broken = ended(err)
	}
	return a
}

// read reads a final response, and the interim ones before it. It says whether another may follow.
func (a *answer) read(in *bufio.Reader, method string) bool {
	for {
		m, err := readMessage(in)
		if err != nil {
			a.broken = ended(err)
			return false
		}
		_, status, _ := strings.Cut(m.first, " ")
		if strings.HasPrefix(status, "1") && !strings.HasPrefix(status, "101") {
			a.interims = append(a.interims, m.first)
			continue
		}
		a.responses = append(a.responses, m)
		switch {
		case method == "HEAD", strings.HasPrefix(status, "204"), strings.HasPrefix(status, "304"):
			return true
		}
		untilEnd := m.field("Content-Length") == "" && m.field("Transfer-Encoding") == ""
		m.body, err = m.readBody(in, untilEnd)
		if err != nil {
			a.broken = ended(err)
		}
		return err == nil && !untilEnd
	}
}

// ended says how a connection ended, in the same words for both.
func ended(err error) string {
	var timeout net.Error
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "closed in a message"
	case errors.Is(err, io.EOF):
		return "closed without an answer"
	case errors.Is(err, syscall.ECONNRESET):
		return "reset"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "no answer in time"
	}
	return err.Error()
}
