// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"io"
	"strings"
	"testing"
)

// TestRequestsGoOn: what current nginx does, and the packaged one that tests/interop compares with does not yet: with bodies that nobody has read where a request goes on
// to an error page, with bodies that nobody wants, and with fields that ask for the fields before them.
func TestRequestsGoOn(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	echo := answering(t, func(r *request) string {
		text := r.method + " " + r.fields.get("X-Body") + " " + string(r.body)
		if r.target == "/401" {
			return "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: foo\r\nWWW-Authenticate: bar\r\nContent-Length: 0\r\n\r\n"
		}
		return ok(text)
	})
	p := startNginxConf(t, `
events {}
http {
    upstream echo { server `+echo.addr+`; }
    server {
        listen 127.0.0.1:@PORT1@;
        client_max_body_size 10;
        error_page 400 413 /page;
        proxy_intercept_errors on;
        location = /page { proxy_pass http://echo; proxy_set_header X-Body "length:$content_length:"; }
        location /want { proxy_pass http://echo; proxy_buffer_size 200; }
        location /unwanted { return 200 "unwanted"; }
        location /401 { proxy_pass http://echo; error_page 401 /asked; }
        location /file { root none; error_page 404 405 = @app; }
        location /gone { root none; error_page 404 = /page; }
        location /folder/ { root none; autoindex on; error_page 404 = @app; }
        location /gif { empty_gif; error_page 405 = @app; }
        location @app { proxy_pass http://echo; proxy_set_header X-Body "length:$content_length:"; }
        location /within/ { internal; location ~ \.x$ { return 200 within; } location /within/deep/ { location /within/deep/er { return 200 deeper; } } }
        location /into/ { rewrite ^/into(.*) /within$1; }
        location /asked { return 200 "asked"; }
        location /several {
            add_header X-A a;
            add_header X-A b;
            add_header X-B "$sent_http_x_a;";
            return 200 "x";
        }
    }
}`)
	const chunked = " HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
	for _, c := range []struct {
		name, request string
		status        int
		body, field   string
	}{
		{"too large", "POST /want HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n0123456789a", 413, "GET length:: ", ""},
		{"too large, chunked", "POST /want" + chunked + "b\r\n0123456789a\r\n0\r\n\r\n", 413, "GET length:: ", ""},
		{"malformed", "POST /want" + chunked + "1\r\nX\r\nX\r\n", 400, "GET length:: ", ""},
		{"framed twice", "POST /want" + strings.Replace(chunked, "Host", "Content-Length: 10\r\nHost", 1) + "0\r\n\r\n", 400, "GET length:: ", ""},
		{"unwanted", "POST /unwanted" + chunked + "a\r\n0123456789\r\n0\r\n\r\n", 200, "unwanted", ""},
		{"unwanted, too large", "POST /unwanted" + chunked + "5\r\n01234\r\n6\r\n56789a\r\n0\r\n\r\n", 413, "GET length:: ", ""},
		{"unwanted, malformed", "POST /unwanted" + chunked + "4\r\nSEE-THIS\r\n0\r\n\r\n", 400, "GET length:: ", ""},
		{"wanted", "POST /want" + chunked + "a\r\n0123456789\r\n0\r\n\r\n", 200, "POST  0123456789", ""},
		{"of a file that is not there", "POST /file HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 200, "POST length:3: abc", ""},
		{"of a file, another method", "PUT /file" + chunked + "3\r\nabc\r\n0\r\n\r\n", 200, "PUT length:3: abc", ""},
		{"of a file, to a page", "POST /gone HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 200, "GET length:: ", ""},
		{"of a folder that is not there", "GET /folder/ HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 200, "GET length:3: abc", ""},
		{"dropped, then for another location", "POST /gif HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 200, "POST length:: ", ""},
		{"from without, by a pattern", "GET /within/a.x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 404, "", ""},
		{"from without, deep", "GET /within/deep/er HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 404, "", ""},
		{"from within", "GET /into/a.x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 200, "within", ""},
		{"asked twice", "GET /401 HTTP/1.1\r\nHost: a\r\n\r\n", 401, "asked", "WWW-Authenticate: foo|bar"},
		{"fields before", "GET /several HTTP/1.1\r\nHost: a\r\n\r\n", 200, "x", "X-B: a, b;"},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := p.dial()
			conn.send(c.request)
			r := conn.read(strings.Fields(c.request)[0])
			if r.status != c.status || c.status != 404 && string(r.body) != c.body {
				t.Errorf("answer %d %q, want %d %q", r.status, r.body, c.status, c.body)
			}
			if name, value, some := strings.Cut(c.field, ": "); some && strings.Join(r.fields.all(name), "|") != value {
				t.Errorf("%s is %q", name, r.fields.all(name))
			}
		})
	}
}

// TestSentConnectionOfATunnel: what the client was sent of a change of protocols is there for the log.
func TestSentConnectionOfATunnel(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, func(c *originConn) {
		c.request()
		c.write("HTTP/1.1 101 Switching\r\nUpgrade: foo\r\nConnection: Upgrade\r\n\r\nhello")
	})
	p := startNginxConf(t, `
events {}
http {
    log_format sent "$status $sent_http_connection $body_bytes_sent";
    server {
        listen 127.0.0.1:@PORT1@;
        access_log logs/access.log sent;
        location / { proxy_pass http://`+o.addr+`; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; }
    }
}`)
	c := p.dial()
	c.send("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: foo\r\nConnection: upgrade\r\n\r\n")
	c.within(ioDeadline)
	if text, err := io.ReadAll(c.br); err != nil || !strings.HasSuffix(string(text), "\r\n\r\nhello") {
		t.Errorf("answer %q, %v", text, err)
	}
	c.Close()
	eventually(t, ioDeadline, "a line in the log", func() bool { return p.readLog("access.log") != "" })
	if log := p.readLog("access.log"); log != "101 upgrade 5\n" {
		t.Errorf("the log says %q", log)
	}
}
