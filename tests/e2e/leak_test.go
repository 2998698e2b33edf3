// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"encoding/base64"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// everyVariable is a text with all variables of the reference, those with a name in theirs by names that the requests of TestNothingOfAnotherRequest use.
func everyVariable(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/variables.md")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, found := range regexp.MustCompile("(?m)^\\| `\\$([a-z0-9_]+(_NAME)?)`").FindAllSubmatch(text, -1) {
		name := string(found[1])
		switch base, named := strings.CutSuffix(name, "_NAME"); {
		case name == "proxy_protocol_tlv_NAME", strings.HasPrefix(name, "binary_"): // the listening address has none; they are no text
			continue
		case named:
			name = base + "_x_secret"
		}
		fmt.Fprintf(&b, "%s=${%s} ", name, name)
	}
	return b.String() + "group=$1 named=$part mapped=$mapped set=$kept asked=$asked"
}

// Whatever a variable says of a request, it says nothing of another one: neither of one before on the connection, nor of one that had the same memory.
func TestNothingOfAnotherRequest(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	const secret = "tell-nobody"
	o := newOrigin(t, func(c *originConn) {
		for r := c.request(); r != nil; r = c.request() {
			fields := fmt.Sprintf("X-Secret: %[1]s\r\nSet-Cookie: x_secret=%[1]s\r\nContent-Type: text/%[1]s\r\nWWW-Authenticate: %[1]s\r\n", secret)
			switch {
			case strings.HasPrefix(r.target, "/ask"):
				c.write("HTTP/1.1 204 X\r\n" + fields + "\r\n")
			case strings.HasPrefix(r.target, "/accel"):
				c.write("HTTP/1.1 200 OK\r\n" + fields + "X-Accel-Redirect: /again?" + secret + "\r\nContent-Length: 0\r\n\r\n")
			case strings.HasPrefix(r.target, "/error"):
				c.write("HTTP/1.1 404 X\r\n" + fields + "Content-Length: 0\r\n\r\n")
			default:
				c.write("HTTP/1.1 200 OK\r\n" + fields + "Trailer: X-Secret\r\nTransfer-Encoding: chunked\r\n\r\n2000\r\n" + strings.Repeat("text ", 0x2000/5) + "12" + "\r\n0\r\nX-Secret: " + secret + "\r\n\r\n")
			}
		}
	})
	dir := tree(t, map[string]string{secret + ".txt": "file", "plain.txt": "another", "htpasswd": secret + ":{PLAIN}" + secret + "\n"})
	quiet := "access_log = false"
	p := start(t, site{proxyPass: "http://" + o.addr + "$request_uri",
		location: quiet + "\ngzip = true\ngzip_types = ['*']\nproxy_pass_trailers = true\nclient_body_in_file_only = 'clean'\nrewrite = [{ set = '$kept', value = '$arg_x_secret' }]\n" +
			`add_header = { X-Mapped = "$mapped$1" }` + "\nproxy_intercept_errors = true\nerror_page = [{ codes = [404], uri = '/again?" + secret + "' }]",
		server: fmt.Sprintf("root = %q\nclient_max_body_size = 10\nset_real_ip_from = ['127.0.0.0/8']\n", dir),
		http: fmt.Sprintf("access_log = [{ path = 'logs/access.log', format = 'all' }]\nuninitialized_variable_warn = false\n[http.log_format]\nall = { format = '%s', escape = 'json' }\n"+
			"[http.map.mapped]\nsource = '$http_x_secret'\nvalue = { '~^(?<part>.+)$' = '$part' }\n", everyVariable(t)),
		more: location("/again", `proxy_pass = "http://`+o.addr+`$uri"`, quiet) +
			location("~ ^/group/(?<part>.*)$", `return = { code = 200, text = "$part $1" }`, quiet) +
			location("/asked", `auth_request = "/ask"`, `auth_request_set = { asked = "$upstream_http_x_secret" }`, `proxy_pass = "http://`+o.addr+`$request_uri"`, quiet) +
			location("= /ask", `proxy_pass = "http://`+o.addr+`/ask"`, quiet, "internal = true") +
			location("/login/", "auth_basic = 'x'", fmt.Sprintf("auth_basic_user_file = %q", dir+"/htpasswd"), fmt.Sprintf("alias = %q", dir+"/"), quiet) +
			location("/files/", fmt.Sprintf("alias = %q", dir+"/")) +
			location("/text", `return = { code = 200, text = "text" }`) +
			location("/denied", `proxy_pass = "http://`+o.addr+`$request_uri"`, "access = ['deny all']"),
	})
	tells := func(target string) string {
		return fmt.Sprintf("POST %[1]s?x_secret=%[2]s HTTP/1.1\r\nHost: %[2]s\r\nX-Secret: %[2]s\r\nCookie: x_secret=%[2]s\r\nReferer: %[2]s\r\nX-Real-IP: 192.0.2.66\r\nAuthorization: Basic %[3]s\r\n"+
			"Content-Type: a/%[2]s\r\nAccept-Encoding: gzip\r\nTE: trailers\r\nContent-Length: 9\r\n\r\nbody-%[4]s", target, secret, base64.StdEncoding.EncodeToString([]byte(secret+":"+secret)), secret[:4])
	}
	asks := []string{
		"GET /text HTTP/1.1\r\nHost: h\r\n\r\n", "GET /files/plain.txt HTTP/1.1\r\nHost: h\r\n\r\n", "GET /files/none HTTP/1.1\r\nHost: h\r\n\r\n", "GET /denied HTTP/1.1\r\nHost: h\r\n\r\n",
		"POST /denied HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n01234567890", "GET /text HTTP/1.1\r\n\r\n", "GET /%zz HTTP/1.1\r\nHost: h\r\n\r\n", "nonsense\r\n\r\n",
	}
	for _, told := range []string{"/", "/accel", "/error", "/asked", "/group/" + secret, "/login/" + secret + ".txt", "/login/none"} {
		for _, ask := range asks {
			c := p.dial()
			c.send(tells(told))
			c.read("POST")
			c.send(ask)
			method, _, _ := strings.Cut(ask, " ")
			c.read(method)
			c.Close()
			p.exchange(method, ask)
		}
	}
	// What is secret, what no text may have, and what a request has not that is answered here.
	other := regexp.MustCompile(`\S*=\S*(` + secret + `|192\.0\.2\.66|\\u00|\x{db})|(proxy_host|proxy_port|upstream_\w+|request_body_file|gzip_ratio|sent_trailer_x_secret|remote_user|group|named|mapped|set|asked)=[^ \n]`)
	lines := 0
	eventually(t, ioDeadline, "the log", func() bool { lines = strings.Count(p.readLog("access.log"), "\n"); return lines >= 2*len(asks)*6 })
	for line := range strings.Lines(p.readLog("access.log")) {
		if at := other.FindString(line); at != "" {
			t.Errorf("%s, of %s", at, regexp.MustCompile(` request=.*request_method`).FindString(line))
		}
	}
}
