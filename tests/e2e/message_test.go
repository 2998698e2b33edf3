// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// field is one header or trailer field as it was on the wire.
type field struct{ name, value string }

type fields []field

// all returns the values of every field called name, in order.
func (fs fields) all(name string) []string {
	var values []string
	for _, f := range fs {
		if strings.EqualFold(f.name, name) {
			values = append(values, f.value)
		}
	}
	return values
}

// get returns the value of the first field called name, or "".
func (fs fields) get(name string) string {
	if values := fs.all(name); len(values) > 0 {
		return values[0]
	}
	return ""
}

func (fs fields) has(name string) bool { return len(fs.all(name)) > 0 }

// head is a message head: its first line, its fields and its exact bytes.
type head struct {
	line   string
	fields fields
	raw    string
}

const maxHeadBytes = 1 << 20

// readLine reads a line that ends with CRLF and has no other CR, LF or NUL.
func readLine(br *bufio.Reader) (string, error) {
	line, err := br.ReadString('\n')
	if err != nil {
		if errors.Is(err, io.EOF) && line != "" {
			return line, io.ErrUnexpectedEOF
		}
		return line, err
	}
	text, ok := strings.CutSuffix(line, "\r\n")
	if !ok {
		return line, fmt.Errorf("line %q does not end with CRLF", line)
	}
	if strings.ContainsAny(text, "\r\n\x00") {
		return line, fmt.Errorf("line %q has a bare CR or a NUL", line)
	}
	return text, nil
}

const tokenChars = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

func isToken(s string) bool {
	return s != "" && strings.Trim(s, tokenChars) == ""
}

// readFields reads field lines up to the empty line and appends their bytes to raw.
func readFields(br *bufio.Reader, raw *strings.Builder) (fields, error) {
	var fs fields
	for {
		line, err := readLine(br)
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return fs, err
		}
		raw.WriteString(line + "\r\n")
		if line == "" {
			return fs, nil
		}
		if raw.Len() > maxHeadBytes {
			return fs, fmt.Errorf("fields longer than %d bytes", maxHeadBytes)
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || !isToken(name) {
			return fs, fmt.Errorf("field line %q is malformed", line)
		}
		fs = append(fs, field{name, strings.Trim(value, " \t")})
	}
}

// readHead reads one message head. It returns io.EOF only if nothing came.
func readHead(br *bufio.Reader) (head, error) {
	var raw strings.Builder
	line, err := readLine(br)
	if err != nil {
		return head{line: line}, err
	}
	raw.WriteString(line + "\r\n")
	fs, err := readFields(br, &raw)
	return head{line, fs, raw.String()}, err
}

// framing says how long the body of a message with these fields is: length is
// -1 when it is chunked or not given. What two parsers could read differently
// is an error.
func framing(fs fields) (length int64, chunked bool, err error) {
	codings, lengths := fs.all("Transfer-Encoding"), fs.all("Content-Length")
	switch {
	case len(codings) > 1 || len(lengths) > 1 || len(codings)+len(lengths) > 1:
		return -1, false, fmt.Errorf("framing given twice: Transfer-Encoding %q, Content-Length %q", codings, lengths)
	case len(codings) == 1 && codings[0] != "chunked":
		return -1, false, fmt.Errorf("Transfer-Encoding %q", codings[0])
	case len(codings) == 1:
		return -1, true, nil
	case len(lengths) == 1:
		n, err := strconv.ParseUint(lengths[0], 10, 62)
		return int64(n), false, err
	}
	return -1, false, nil
}

// readChunked reads a chunked body with its trailer section.
func readChunked(br *bufio.Reader) (body []byte, trailer fields, err error) {
	for {
		line, err := readLine(br)
		if err != nil {
			return body, nil, noEOF(err)
		}
		n, err := strconv.ParseUint(line, 16, 40)
		if err != nil {
			return body, nil, fmt.Errorf("chunk size line %q: %w", line, err)
		}
		if n == 0 {
			trailer, err = readFields(br, new(strings.Builder))
			return body, trailer, err
		}
		start := len(body)
		body = append(body, make([]byte, n)...)
		if got, err := io.ReadFull(br, body[start:]); err != nil {
			return body[:start+got], nil, noEOF(err)
		}
		if line, err := readLine(br); err != nil || line != "" {
			return body, nil, fmt.Errorf("after a chunk: %q, %v", line, err)
		}
	}
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// response is what a client got. body holds what came even when err is set.
type response struct {
	head
	interim []head // 1xx heads before the final one (101 is final)
	proto   string
	status  int
	reason  string
	body    []byte
	trailer fields
	chunked bool
	// untilClose says that only the end of the connection ended the body.
	untilClose bool
}

func parseStatusLine(line string) (proto string, status int, reason string, err error) {
	proto, rest, _ := strings.Cut(line, " ")
	code, reason, ok := strings.Cut(rest, " ")
	status, err = strconv.Atoi(code)
	if err != nil || !ok || len(code) != 3 || (proto != "HTTP/1.1" && proto != "HTTP/1.0") {
		return "", 0, "", fmt.Errorf("status line %q is malformed", line)
	}
	return proto, status, reason, nil
}

// readResponseHead reads up to the final head and sets everything but the body.
func readResponseHead(br *bufio.Reader) (*response, error) {
	r := &response{}
	for {
		h, err := readHead(br)
		if err != nil {
			return r, err
		}
		proto, status, reason, err := parseStatusLine(h.line)
		if err != nil {
			return r, err
		}
		if status < 200 && status != 101 {
			r.interim = append(r.interim, h)
			continue
		}
		r.head, r.proto, r.status, r.reason = h, proto, status, reason
		return r, nil
	}
}

// readBody reads the body that belongs to r, the answer to a request by method.
func (r *response) readBody(br *bufio.Reader, method string) error {
	length, chunked, err := framing(r.fields)
	if err != nil {
		return err
	}
	if method == "HEAD" || r.status == 204 || r.status == 304 || r.status == 101 {
		return nil
	}
	switch {
	case chunked:
		r.chunked = true
		r.body, r.trailer, err = readChunked(br)
	case length >= 0:
		r.body = make([]byte, length)
		var n int
		n, err = io.ReadFull(br, r.body)
		r.body, err = r.body[:n], noEOF(err)
	default:
		r.untilClose = true
		r.body, err = io.ReadAll(br)
	}
	return err
}

// readResponse reads one complete answer to a request by method.
func readResponse(br *bufio.Reader, method string) (*response, error) {
	r, err := readResponseHead(br)
	if err != nil {
		return r, err
	}
	return r, r.readBody(br, method)
}

// request is what an origin got.
type request struct {
	head
	conn    int // which connection of the origin, from 0
	method  string
	target  string
	proto   string
	body    []byte
	trailer fields
	chunked bool
}

// readRequestHead reads a request's head, strictly.
func readRequestHead(br *bufio.Reader) (*request, error) {
	h, err := readHead(br)
	if err != nil {
		return nil, err
	}
	parts := strings.Split(h.line, " ")
	if len(parts) != 3 || !isToken(parts[0]) || parts[1] == "" {
		return nil, fmt.Errorf("request line %q is malformed", h.line)
	}
	r := &request{head: h, method: parts[0], target: parts[1], proto: parts[2]}
	_, r.chunked, err = framing(h.fields)
	return r, err
}

// readBody reads the body that belongs to r.
func (r *request) readBody(br *bufio.Reader) error {
	length, chunked, err := framing(r.fields)
	if err != nil {
		return err
	}
	if chunked {
		r.body, r.trailer, err = readChunked(br)
		return err
	}
	if length > 0 {
		r.body = make([]byte, length)
		_, err = io.ReadFull(br, r.body)
	}
	return noEOF(err)
}
