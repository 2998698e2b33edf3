// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// Expectation is a HealthExpect that has been understood.
type Expectation struct {
	notStatus bool
	status    [][2]int // first and last
	headers   []headerTest
	body      textTest
}

// headerTest is a test of a header field.
type headerTest struct {
	name  string
	there textTest // of its value; the zero textTest: it has to be there
}

// textTest is a test of a text. The zero value has none.
type textTest struct {
	not    bool
	equals bool
	value  string
	regex  *regexp.Regexp
}

// Parse understands the texts of the table.
func (e *HealthExpect) Parse() (x Expectation, err error) {
	if x.notStatus, x.status, err = parseStatuses(e.Status); err != nil {
		return x, fmt.Errorf("status: %w", err)
	}
	for _, text := range e.Header {
		t, err := parseHeaderTest(text)
		if err != nil {
			return x, fmt.Errorf("header: %w", err)
		}
		x.headers = append(x.headers, t)
	}
	if e.Body != "" {
		if x.body, err = parseTextTest(e.Body); err == nil && x.body.equals {
			err = errors.New("must begin with \"~\" or \"!~\"")
		}
		if err != nil {
			return x, fmt.Errorf("body: %w", err)
		}
	}
	return x, nil
}

func parseStatuses(text string) (not bool, list [][2]int, err error) {
	text, not = strings.CutPrefix(strings.TrimSpace(text), "!")
	for _, word := range strings.Fields(strings.ReplaceAll(text, ",", " ")) {
		first, last, ranged := strings.Cut(word, "-")
		if !ranged {
			last = first
		}
		a, err1 := strconv.Atoi(first)
		b, err2 := strconv.Atoi(last)
		if err1 != nil || err2 != nil || a < 100 || b > 999 || a > b {
			return false, nil, fmt.Errorf("%s is neither a status code nor a range of them", quote(word))
		}
		list = append(list, [2]int{a, b})
	}
	if len(list) == 0 {
		return false, nil, errors.New("needs a status code")
	}
	return not, list, nil
}

func parseHeaderTest(text string) (headerTest, error) {
	text = strings.TrimSpace(text)
	if rest, ok := strings.CutPrefix(text, "!"); ok && !strings.ContainsAny(rest, "=~") {
		return headerTest{strings.TrimSpace(rest), textTest{not: true}}, checkFieldName(strings.TrimSpace(rest))
	}
	name, rest, _ := strings.Cut(text, " ")
	if err := checkFieldName(name); err != nil {
		return headerTest{}, err
	}
	if rest = strings.TrimSpace(rest); rest == "" {
		return headerTest{name: name}, nil
	}
	test, err := parseTextTest(rest)
	return headerTest{name, test}, err
}

func checkFieldName(name string) error {
	if !isToken(name) {
		return fmt.Errorf("%s is not the name of a header field", quote(name))
	}
	return nil
}

func parseTextTest(text string) (t textTest, err error) {
	text, t.not = strings.CutPrefix(text, "!")
	switch {
	case strings.HasPrefix(text, "="):
		t.equals, t.value = true, strings.TrimSpace(text[1:])
	case strings.HasPrefix(text, "~"):
		t.regex, err = regexp.Compile(strings.TrimSpace(text[1:]))
	default:
		err = fmt.Errorf("%s: a test begins with \"=\", \"!=\", \"~\" or \"!~\"", quote(text))
	}
	return t, err
}

// holds says whether a text is as the test says.
func (t *textTest) holds(text string) bool {
	if t.regex != nil {
		return t.regex.MatchString(text) != t.not
	}
	return (text == t.value) != t.not
}

// WantsBody says whether the body is looked at.
func (x *Expectation) WantsBody() bool { return x.body.regex != nil }

// Check says what is wrong with an answer; nil: it is as expected. field gives the value of a header field, and whether it is there.
func (x *Expectation) Check(status int, field func(name string) (string, bool), body []byte) error {
	in := false
	for _, r := range x.status {
		in = in || r[0] <= status && status <= r[1]
	}
	if in == x.notStatus {
		return fmt.Errorf("status code %d", status)
	}
	for i := range x.headers {
		h := &x.headers[i]
		value, there := field(h.name)
		onlyThere := h.there.regex == nil && !h.there.equals
		if onlyThere && there == h.there.not || !onlyThere && (!there || !h.there.holds(value)) { // a field that is not there has no other value either
			return fmt.Errorf("header field %s", h.name)
		}
	}
	if x.WantsBody() && !x.body.holds(string(body)) {
		return errors.New("body")
	}
	return nil
}

// checkHealth checks the health check of a group.
func (k *checker) checkHealth(p *path, u *Upstream) {
	h := u.HealthCheck
	if h == nil {
		return
	}
	at := p.key("health_check")
	if _, err := h.Expect.Parse(); err != nil {
		k.faultAt(at.key("expect"), "%v", err)
	}
	if u, err := url.ParseRequestURI(h.URI); err != nil || !strings.HasPrefix(h.URI, "/") || u.Host != "" {
		k.faultAt(at.key("uri"), "%s is not a path", quote(h.URI))
	}
	for i := range len(h.Host) {
		if c := h.Host[i]; c <= ' ' || c >= 0x7f || c == '/' {
			k.faultAt(at.key("host"), "%s cannot stand in the field Host", quote(h.Host))
			break
		}
	}
	if h.Type == HealthTCP {
		for _, x := range []struct {
			key string
			set bool
		}{{"uri", h.URI != "/"}, {"host", h.Host != ""}, {"expect", h.Expect.Status != "200-399" || len(h.Expect.Header) > 0 || h.Expect.Body != ""}} {
			if x.set {
				k.faultAt(at.key(x.key), "is about a request, and type = \"tcp\" makes none")
			}
		}
	}
}
