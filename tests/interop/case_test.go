// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// testCase is one file of testdata.
type testCase struct {
	theme, name string
	about       string
	conf        string // the whole nginx.conf, with marks
	requests    []request
	origins     map[string]string // what an origin answers to a path
	files       map[string]string
	logs        map[string]string // name to least level, which only the error log has
	differences []*difference
}

// request is what is sent on one connection.
type request struct {
	name      string
	pieces    []string // each is sent when the one before was answered
	responses int      // to each piece
	listen    int      // which address, from 0
}

// difference is one that is known.
type difference struct {
	request, what, reason string
	seen                  bool
}

// wrapper is the nginx.conf around the fragments main and conf.
const wrapper = `{{base}}
%s
events { worker_connections 256; }
http {
{{temp}}
%s
}
`

// base is what the harness needs in a main block.
const base = `daemon off;
worker_processes 1;
pid run/server.pid;
error_log logs/error.log info;
`

// temp is what the harness needs in http, so that nothing is written outside of the prefix.
const temp = `
client_body_temp_path tmp/body; proxy_temp_path tmp/proxy; fastcgi_temp_path tmp/fastcgi; uwsgi_temp_path tmp/uwsgi; scgi_temp_path tmp/scgi;
`

var sectionLine = regexp.MustCompile(`(?m)^-- (.+) --\n`)

// readCases reads all of testdata.
func readCases(t testing.TB) []*testCase {
	t.Helper()
	names, err := filepath.Glob("testdata/*/*.txt")
	if err != nil || len(names) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	var all []*testCase
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		c, err := parseCase(string(text))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		c.theme, c.name = filepath.Base(filepath.Dir(name)), strings.TrimSuffix(filepath.Base(name), ".txt")
		all = append(all, c)
	}
	return all
}

func parseCase(text string) (*testCase, error) {
	c := &testCase{origins: map[string]string{}, files: map[string]string{}, logs: map[string]string{}}
	marks := sectionLine.FindAllStringSubmatchIndex(text, -1)
	if len(marks) == 0 {
		return nil, fmt.Errorf("no sections")
	}
	c.about = strings.TrimSpace(text[:marks[0][0]])
	mainText, httpText := "", ""
	for i, m := range marks {
		end := len(text)
		if i+1 < len(marks) {
			end = marks[i+1][0]
		}
		kind, rest, _ := strings.Cut(text[m[2]:m[3]], " ")
		body := text[m[1]:end]
		var err error
		switch kind {
		case "conf":
			httpText = body
		case "main":
			mainText = body
		case "nginx.conf":
			c.conf = body
		case "request":
			err = c.addRequest(rest, body)
		case "origin", "file":
			if name, raw := strings.CutSuffix(rest, " raw"); raw {
				rest = name
				body, err = unquote(body)
			}
			if kind == "origin" {
				c.origins[rest] = body
			} else {
				c.files[rest] = body
			}
		case "logs":
			for line := range strings.Lines(body) {
				name, level, _ := strings.Cut(strings.TrimSpace(line), " ")
				c.logs[name] = level
			}
		case "differences":
			err = c.addDifferences(body)
		default:
			err = fmt.Errorf("unknown section %q", kind)
		}
		if err != nil {
			return nil, err
		}
	}
	if c.conf == "" {
		c.conf = fmt.Sprintf(wrapper, mainText, httpText)
	}
	return c, nil
}

func (c *testCase) addRequest(head, body string) error {
	r := request{responses: 1}
	raw := false
	var name []string
	for _, word := range strings.Fields(head) {
		key, value, _ := strings.Cut(word, "=")
		n, _ := strconv.Atoi(value)
		switch key {
		case "raw":
			raw = true
		case "responses":
			r.responses = n
		case "listen":
			r.listen = n - 1
		default:
			name = append(name, word)
		}
	}
	r.name = strings.Join(name, " ")
	for piece := range strings.SplitSeq(body, "\n----\n") {
		text, err := wireText(piece, raw)
		if err != nil {
			return fmt.Errorf("request %s: %w", r.name, err)
		}
		r.pieces = append(r.pieces, text)
	}
	c.requests = append(c.requests, r)
	return nil
}

// wireText is what is sent for a piece of a section.
func wireText(piece string, raw bool) (string, error) {
	if raw {
		return unquote(piece)
	}
	head, body, ok := strings.Cut(piece, "\n\n")
	head = strings.ReplaceAll(strings.TrimSuffix(head, "\n"), "\n", "\r\n") + "\r\n\r\n"
	if !ok {
		return head, nil
	}
	return head + strings.TrimSuffix(body, "\n"), nil
}

// unquote is the text of a raw section.
func unquote(section string) (string, error) {
	return strconv.Unquote(`"` + strings.ReplaceAll(strings.ReplaceAll(section, "\n", ""), `"`, `\"`) + `"`)
}

var differenceLine = regexp.MustCompile(`^(.+?) (all|status|body|closed|interim|access\.log|error\.log|header:[A-Za-z0-9-]+): (.+)$`)

func (c *testCase) addDifferences(body string) error {
	for line := range strings.Lines(body) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		m := differenceLine.FindStringSubmatch(line)
		if m == nil {
			return fmt.Errorf("not a difference: %q", line)
		}
		c.differences = append(c.differences, &difference{request: m[1], what: m[2], reason: m[3]})
	}
	return nil
}

// known says whether a difference is listed, and remembers that it was seen.
func (c *testCase) known(name, what string) bool {
	found := false
	for _, d := range c.differences {
		if (d.request == name || d.request == "*") && (d.what == "all" || strings.EqualFold(d.what, what)) {
			d.seen, found = true, true
		}
	}
	return found
}
