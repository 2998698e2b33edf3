// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// dialogue is bytes on one connection, and what comes of them.
type dialogue struct {
	name   string
	send   string
	later  string // sent when the first answer is there
	answer string // the origin's; "": 200
	want   string // statuses in their order, interim ones too, and "closed" where the connection ends; else it must serve on
	seen   string // the request lines that the origin gets, with "|" between
	check  func(t *testing.T, last *response, o *origin)
}

// hold has every dialogue with one proxy, each on its own connection.
func hold(t *testing.T, s site, all []dialogue) {
	t.Helper()
	answer := ""
	o := answering(t, func(r *request) string {
		if answer == "" || r.target == "/served-on" {
			return ok("ok")
		}
		return answer
	})
	s.origin = o.addr
	p := start(t, s)
	for _, d := range all {
		t.Run(d.name, func(t *testing.T) {
			answer = d.answer
			before := len(o.seen())
			c := dialTo(t, p.addr)
			c.send(d.send)
			d.read(t, c, o)
			var lines []string
			for _, r := range o.seen()[before:] {
				lines = append(lines, strings.TrimSuffix(r.line, " HTTP/1.1"))
			}
			lines = strings.Split(strings.TrimSuffix(strings.Join(lines, "|"), "GET /served-on"), "|")
			if got := strings.Trim(strings.Join(lines, "|"), "|"); got != d.seen {
				t.Errorf("the origin got %q, want %q", got, d.seen)
			}
		})
	}
}

func (d *dialogue) read(t *testing.T, c *client, o *origin) {
	t.Helper()
	var last *response
	var got []string
	method, _, _ := strings.Cut(strings.TrimLeft(d.send, "\r\n"), " ")
	want := strings.Fields(d.want)
	ends := want[len(want)-1] == "closed"
	for range strings.Count(d.want, " ") + 1 {
		if len(got) == len(want) || ends && len(got) == len(want)-1 {
			break
		}
		last = c.read(method)
		for _, h := range last.interim {
			got = append(got, strings.Fields(h.line)[1])
		}
		got = append(got, fmt.Sprint(last.status))
		method = "GET"
		if d.later != "" {
			c.send(d.later)
			d.later = ""
		}
	}
	if ends {
		c.wantClosed(ioDeadline)
		got = append(got, "closed")
	}
	if text := strings.Join(got, " "); text != d.want {
		t.Fatalf("answers %q, want %q", text, d.want)
	}
	if d.check != nil {
		d.check(t, last, o)
	}
	if !ends {
		c.get("/served-on", 200)
	}
}

// request texts
func get(target string, lines ...string) string { return ask("GET", target, lines...) }

func ask(method, target string, lines ...string) string {
	text := method + " " + target + " HTTP/1.1\r\nHost: h\r\n"
	for _, line := range lines {
		text += line + "\r\n"
	}
	return text + "\r\n"
}

// OPTIONS, TRACE and CONNECT: RFC 9110 sections 7.6.2, 9.3.6 to 9.3.8.
func TestMethodsOfTheServer(t *testing.T) {
	t.Parallel()
	weirOnly(t) // nginx refuses "OPTIONS *", and passes Max-Forwards as it is
	forwards := func(want string) func(*testing.T, *response, *origin) {
		return func(t *testing.T, _ *response, o *origin) {
			if got := o.last().fields.get("Max-Forwards"); got != want {
				t.Errorf("the origin got Max-Forwards %q, want %q", got, want)
			}
		}
	}
	allows := func(t *testing.T, r *response, _ *origin) {
		if r.fields.get("Allow") == "" {
			t.Error("no Allow")
		}
	}
	hold(t, site{}, []dialogue{
		{name: "OPTIONS *", send: ask("OPTIONS", "*"), want: "200", check: allows},
		{name: "OPTIONS of a server", send: ask("OPTIONS", "http://other"), want: "200", check: allows},
		{name: "OPTIONS of a path", send: ask("OPTIONS", "http://other/"), want: "200", seen: "OPTIONS /"},
		{name: "OPTIONS of a query", send: ask("OPTIONS", "http://other?a"), want: "200", seen: "OPTIONS /?a"},
		{name: "no further", send: ask("OPTIONS", "/", "Max-Forwards: 0"), want: "200", check: allows},
		{name: "one further", send: ask("OPTIONS", "/", "Max-Forwards: 1"), want: "200", seen: "OPTIONS /", check: forwards("0")},
		{name: "five further", send: ask("OPTIONS", "/", "max-forwards: 5"), want: "200", seen: "OPTIONS /", check: forwards("4")},
		{name: "not a number", send: ask("OPTIONS", "/", "Max-Forwards: x"), want: "200", seen: "OPTIONS /", check: forwards("x")},
		{name: "not OPTIONS", send: get("/", "Max-Forwards: 0"), want: "200", seen: "GET /", check: forwards("0")},
		{name: "TRACE", send: ask("TRACE", "/") + get("/dropped"), want: "405 closed", check: allows},
		{name: "CONNECT", send: ask("CONNECT", "h:80") + get("/dropped"), want: "405 closed", check: allows},
	})
}

// What may be odd in a message that is good: RFC 9112 sections 2.2, 7.1; RFC 9110 section 10.1.1.
func TestOddButGood(t *testing.T) {
	t.Parallel()
	chunks := func(body string) string { return ask("POST", "/b", "Transfer-Encoding: chunked") + body }
	body := func(want string) func(*testing.T, *response, *origin) {
		return func(t *testing.T, _ *response, o *origin) {
			if got := string(o.last().body); got != want {
				t.Errorf("the origin got %q, want %q", got, want)
			}
		}
	}
	zeros := strings.Repeat("0", 60)
	hold(t, site{}, []dialogue{
		{name: "empty lines", send: strings.Repeat("\r\n", 20) + get("/"), want: "200", seen: "GET /"},
		{name: "space behind sizes", send: chunks("5 \r\nhello\r\n0\t\r\n\r\n"), want: "200", seen: "POST /b", check: body("hello")},
		{name: "zeros before sizes", send: chunks(zeros + "5\r\nhello\r\n" + zeros + "\r\n\r\n"), want: "200", seen: "POST /b", check: body("hello")},
		{name: "a long extension", send: chunks("5;a=" + strings.Repeat("x", 3000) + "\r\nhello\r\n0\r\n\r\n"), want: "200", seen: "POST /b", check: body("hello")},
		{name: "a host of a version to come", send: "GET / HTTP/1.1\r\nHost: [v1.a]:80\r\n\r\n", want: "200", seen: "GET /"},
		{name: "expectation without a body", send: ask("POST", "/", "Expect: 100-continue", "Content-Length: 0"), want: "100 200", seen: "POST /"},
		{name: "expectation of HTTP/1.0", send: "GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n", want: "200 closed", seen: "GET /"},
	})
	weirOnly(t) // nginx 1.22 takes any 1xx for the answer, and any byte into a field
	hold(t, site{location: `proxy_set_header = { X-U = "$uri" }`, more: location("/own/", `add_header = { X-U = "$uri" }`, "return = 204")}, []dialogue{
		{name: "controls in a field to the origin", send: get("/%01%7f%0d%0aA:b%09%c3%a9"), want: "200", seen: "GET /%01%7f%0d%0aA:b%09%c3%a9", check: func(t *testing.T, _ *response, o *origin) {
			if got := o.last().fields.get("X-U"); got != "/    A:b\t\u00e9" {
				t.Errorf("X-U %q", got)
			}
		}},
		{name: "controls in an answer", send: get("/own/%1b%0ax%7fy"), want: "204", check: func(t *testing.T, r *response, _ *origin) {
			if got := r.fields.get("X-U"); got != "/own/  x y" {
				t.Errorf("X-U %q", got)
			}
		}},
		{
			name: "many interim answers", send: get("/"), answer: strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 100) + ok("ok"),
			want: strings.Repeat("102 ", 100) + "200", seen: "GET /",
		},
	})
}

// A body that nobody wants is read and dropped, and the connection goes on behind it: RFC 9112 section 9.3.
func TestUnwantedBodies(t *testing.T) {
	t.Parallel()
	post := func(target, line, body string) string { return ask("POST", target, line) + body }
	length := func(n int) string { return fmt.Sprintf("Content-Length: %d", n) }
	const chunked = "Transfer-Encoding: chunked"
	large := strings.Repeat("x", 100_000)
	more := location("/no", `return = { code = 200, text = "no" }`) + location("/small", `client_max_body_size = 10`, `return = { code = 200, text = "no" }`) +
		location("/denied", `return = 403`) + location("/gone", `error_page = [{ codes = [410], uri = "/page" }]`, "return = 410")
	hold(t, site{more: more}, []dialogue{
		{name: "comes along", send: post("/no", length(5), "hello") + get("/next"), want: "200 200", seen: "GET /next"},
		{name: "comes later", send: post("/no", length(5), ""), later: "hello" + get("/next"), want: "200 200", seen: "GET /next"},
		{name: "in pieces", send: post("/no", length(5), "he"), later: "llo" + get("/next"), want: "200 200", seen: "GET /next"},
		{name: "a large one", send: post("/no", length(len(large)), ""), later: large + get("/next"), want: "200 200", seen: "GET /next"},
		{name: "in chunks", send: post("/no", chunked, "3\r\nabc"), later: "\r\n2\r\nde\r\n0\r\nA: b\r\n\r\n" + get("/next"), want: "200 200", seen: "GET /next"},
		{name: "with GET", send: ask("GET", "/no", length(len(get("/smuggled")))), later: get("/smuggled") + get("/next"), want: "200 200", seen: "GET /next"},
		{name: "of who is denied", send: post("/denied", length(5), ""), later: "hello" + get("/next"), want: "403 200", seen: "GET /next"},
		{name: "a bad chunk", send: post("/no", chunked, "3\r\nabcd\r\n0\r\n\r\n") + get("/next"), want: "400 closed"},
		{name: "a bad chunk later", send: post("/no", chunked, "3\r\nabc"), later: "d\r\n0\r\n\r\n" + get("/next"), want: "200 closed"},
		{name: "just not too large", send: post("/small", chunked, "5\r\nhello\r\n5\r\nhello\r\n0\r\n\r\n") + get("/next"), want: "200 200", seen: "GET /next"},
	})
	weirOnly(t) // nginx sends 100 and throws away what comes of it; it reads a body for the origin of an error page; nginx 1.22 throws away any chunks
	hold(t, site{more: more}, []dialogue{
		{name: "too large in chunks", send: post("/small", chunked, "5\r\nhello\r\n6\r\nhello!\r\n0\r\n\r\n") + get("/next"), want: "413 closed"},
		{name: "too large later", send: post("/small", chunked, "5\r\nhello\r\n"), later: "6\r\nhello!\r\n0\r\n\r\n" + get("/next"), want: "200 closed"},
		{name: "with an error page", send: post("/gone", length(5), ""), later: "hello" + get("/next"), want: "410 200", seen: "GET /page|GET /next"},
		{name: "who waits for 100", send: ask("POST", "/no", length(5), "Expect: 100-continue"), want: "200 closed"},
	})
}

// Conditions and ranges of files, and what is said of an answer that is changed on its way: RFC 9110 sections 7.7, 13.2.2, 14.1.1, 15.4.5, 15.5.22; RFC 9111 section 5.2.2.6.
func TestConditionsInOrder(t *testing.T) {
	t.Parallel()
	weirOnly(t) // nginx asks for tag and time both, compresses what must not be transformed, and its 304 say nothing of what varies
	dir := tree(t, map[string]string{"a.html": "0123456789", "b.css": "0123456789"})
	const past, future = "Mon, 13 Nov 1995 22:13:20 GMT", "Wed, 15 Nov 2090 22:13:20 GMT"
	files := site{http: fmt.Sprintf("root = %q\ngzip = true\ngzip_vary = true\ngzip_min_length = 1", dir), more: location("/b.css", "") + location("/a.html", "")}
	tag := start(t, site{proxyPass: "-", http: files.http}).get("/b.css").fields.get("ETag")
	has := func(name string, want ...string) func(*testing.T, *response, *origin) {
		return func(t *testing.T, r *response, _ *origin) {
			if got := r.fields.all(name); !slices.Equal(got, want) {
				t.Errorf("%s %q, want %q", name, got, want)
			}
		}
	}
	html := func(lines ...string) string {
		return ok(strings.Repeat("x", 300), append(lines, "Content-Type: text/html")...)
	}
	hold(t, files, []dialogue{
		{name: "same tag, changed since", send: get("/b.css", "If-None-Match: "+tag, "If-Modified-Since: "+past), want: "304", check: has("ETag", tag)},
		{name: "same tag, changed after", send: get("/b.css", "If-Match: "+tag, "If-Unmodified-Since: "+past), want: "200"},
		{name: "other tag", send: get("/b.css", `If-Match: "x"`, "If-Unmodified-Since: "+future), want: "412"},
		{name: "changed after, same tag", send: get("/b.css", "If-None-Match: "+tag, "If-Unmodified-Since: "+past), want: "412"},
		{name: "a time that is none", send: get("/b.css", "If-Unmodified-Since: yesterday"), want: "200"},
		{name: "tags on two lines", send: get("/b.css", `If-None-Match: "x"`, "If-None-Match: "+tag), want: "400 closed"},
		{name: "empty ranges", send: get("/b.css", "Range: bytes=,0-1,"), want: "206", check: has("Content-Range", "bytes 0-1/10")},
		{name: "a far end", send: get("/b.css", "Range: bytes=8-99999999999999999999"), want: "206", check: has("Content-Range", "bytes 8-9/10")},
		{name: "codings on two lines", send: get("/a.html", "Accept-Encoding: br", "Accept-Encoding: gzip"), want: "200", check: has("Content-Encoding", "gzip")},
		{name: "not modified varies", send: get("/a.html", "If-None-Match: *"), want: "304", check: has("Vary", "Accept-Encoding")},
		{name: "the tag of what is compressed", send: get("/a.html", "If-None-Match: *", "Accept-Encoding: gzip"), want: "304", check: func(t *testing.T, r *response, _ *origin) {
			if got := r.fields.get("ETag"); !strings.HasPrefix(got, `W/"`) {
				t.Errorf("ETag %q", got)
			}
		}},
		{name: "compressed", send: get("/o", "Accept-Encoding: gzip"), answer: html(), want: "200", seen: "GET /o", check: has("Content-Encoding", "gzip")},
		{name: "not to be transformed", send: get("/o", "Accept-Encoding: gzip"), answer: html("Cache-Control: max-age=1", "Cache-Control: private, No-Transform"), want: "200", seen: "GET /o", check: has("Content-Encoding")},
		{name: "upgrade required", send: get("/o"), answer: reply(426, "Upgrade Required", "", "Upgrade: foo/2", "Connection: upgrade"), want: "426", seen: "GET /o", check: has("Upgrade", "foo/2")},
		{name: "upgrade offered", send: get("/o"), answer: ok("", "Upgrade: foo/2", "Connection: upgrade"), want: "200", seen: "GET /o", check: has("Upgrade")},
	})
}

// An answer to HEAD has no body, also where the request is refused: RFC 9110 section 9.3.2.
func TestRefusedHeads(t *testing.T) {
	t.Parallel()
	hold(t, site{}, []dialogue{
		{name: "no Host", send: "HEAD / HTTP/1.1\r\n\r\n", want: "400 closed"},
		{name: "a bad target", send: "HEAD x HTTP/1.1\r\nHost: h\r\n\r\n", want: "400 closed"},
		{name: "a bad version", send: "HEAD / HTTP/2.0\r\nHost: h\r\n\r\n", want: "505 closed"},
		{name: "a bad field", send: ask("HEAD", "/", "X : y"), want: "400 closed"},
		{name: "a NUL", send: ask("HEAD", "/", "X: \x00"), want: "400 closed"},
		{name: "two lengths", send: ask("HEAD", "/", "Content-Length: 1", "Content-Length: 1"), want: "400 closed"},
		{name: "an unknown coding", send: ask("HEAD", "/", "Transfer-Encoding: x"), want: "501 closed"},
		{name: "a method in lower case", send: ask("get", "/"), want: "400 closed"},
		{name: "a body before a method", send: ask("POST", "/") + "hello" + get("/"), want: "200 400 closed", seen: "POST /"},
		{name: "an unknown method", send: ask("M-SEARCH", "/"), want: "200", seen: "M-SEARCH /"},
	})
}
