// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package interop

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// message is a request or a response.
type message struct {
	first  string
	fields []string // as they came, without CRLF
	body   string
}

func nameOf(field string) string {
	name, _, _ := strings.Cut(field, ":")
	return strings.ToLower(name)
}

// field is the value of the first field of that name.
func (m *message) field(name string) string {
	for _, f := range m.fields {
		if strings.EqualFold(nameOf(f), name) {
			_, value, _ := strings.Cut(f, ":")
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func readLine(in *bufio.Reader) (string, error) {
	line, err := in.ReadString('\n')
	if err != nil {
		return line, err
	}
	line, ok := strings.CutSuffix(line, "\r\n")
	if !ok {
		return line, fmt.Errorf("a line ends without CR: %q", line)
	}
	return line, nil
}

// readMessage reads a head.
func readMessage(in *bufio.Reader) (*message, error) {
	m := &message{}
	var err error
	if m.first, err = readLine(in); err != nil {
		return nil, fmt.Errorf("%q: %w", m.first, err)
	}
	for {
		line, err := readLine(in)
		if err != nil {
			return nil, fmt.Errorf("in a head: %w", noEOF(err))
		}
		if line == "" {
			return m, nil
		}
		m.fields = append(m.fields, line)
	}
}

// readBody reads a body; untilEnd is for a response without a length.
func (m *message) readBody(in *bufio.Reader, untilEnd bool) (string, error) {
	if strings.EqualFold(m.field("Transfer-Encoding"), "chunked") {
		return readChunks(in)
	}
	if text := m.field("Content-Length"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			return "", err
		}
		body := make([]byte, n)
		got, err := io.ReadFull(in, body)
		return string(body[:got]), noEOF(err)
	}
	if !untilEnd {
		return "", nil
	}
	body, err := io.ReadAll(in)
	return string(body), err
}

func readChunks(in *bufio.Reader) (string, error) {
	var b strings.Builder
	for {
		line, err := readLine(in)
		if err != nil {
			return b.String(), noEOF(err)
		}
		size, _, _ := strings.Cut(line, ";")
		n, err := strconv.ParseUint(strings.TrimSpace(size), 16, 31)
		if err != nil {
			return b.String(), err
		}
		if n == 0 {
			break
		}
		if _, err := io.CopyN(&b, in, int64(n)); err != nil {
			return b.String(), noEOF(err)
		}
		if end, err := readLine(in); err != nil || end != "" {
			return b.String(), fmt.Errorf("after a chunk: %q, %w", end, err)
		}
	}
	for {
		line, err := readLine(in)
		if err != nil {
			return b.String(), noEOF(err)
		}
		if line == "" {
			return b.String(), nil
		}
		b.WriteString("\ntrailer " + line)
	}
}

// noEOF makes an end in the middle of a message an error that says so.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
