// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package convert

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"weir/conf"
	"weir/internal/convert/wire"
)

// memory is a folder of files by name.
type memory map[string]string

func (m memory) Read(name string) ([]byte, error) {
	text, ok := m[name]
	if !ok {
		return nil, fmt.Errorf("open() %q failed (2: No such file or directory)", name)
	}
	return []byte(text), nil
}

func (m memory) Glob(pattern string) ([]string, error) {
	var found []string
	for name := range m {
		if ok, err := path.Match(pattern, name); err != nil {
			return nil, err
		} else if ok {
			found = append(found, name)
		}
	}
	return found, nil
}

func (m memory) LookUp(host string) ([]string, error) {
	switch host {
	case "two.example":
		return []string{"192.0.2.1", "2001:db8::1"}, nil
	case "unasked.example", "unasked2.example":
		return nil, nil
	}
	return nil, errors.New("no such host")
}

// files splits a transcript's input: "-- NAME --" begins a file; what stands before the first is nginx.conf.
func files(input string) memory {
	m := memory{}
	name := "nginx.conf"
	for line := range strings.Lines(input) {
		if rest, ok := strings.CutPrefix(line, "-- "); ok {
			name = strings.TrimSuffix(strings.TrimSpace(rest), " --")
			m[name] = ""
			continue
		}
		m[name] += line
	}
	return m
}

// TestConvert runs the transcripts: nginx.conf in, TOML and notes out. "convert" takes whole configurations, "http", "server" and "location" what
// stands in such a block, and show only what becomes of it. With lines each value says where it comes from.
func TestConvert(t *testing.T) {
	datadriven.Walk(t, "testdata/transcripts", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			m, skip := files(d.Input), ""
			main := m["nginx.conf"]
			switch d.Cmd {
			case "http":
				m["nginx.conf"], skip = "events {} http {\n"+main+"}\n", "[http]"
			case "server":
				m["nginx.conf"], skip = "events {} http { server {\n"+main+"} }\n", "[[http.server]]"
			case "location":
				m["nginx.conf"], skip = "events {} http { server { location / {\n"+main+"} } }\n", `path = "/"`
			case "sample":
				var name string
				d.ScanArgs(t, "name", &name)
				m = sample(t, name)
			case "convert":
				if !d.HasArg("bare") && main != "" && !strings.Contains(main, "events {") && !strings.Contains(main, "include") {
					m["nginx.conf"] = "events {} " + main
				}
			default:
				t.Fatalf("no command %q", d.Cmd)
			}
			return transcript(t, m, Options{Lenient: d.HasArg("lenient"), Check: true}, skip, d.HasArg("lines"))
		})
	})
}

// transcript converts, checks what holds for every conversion, and writes the result as text.
func transcript(t *testing.T, m memory, o Options, skip string, lines bool) string {
	t.Helper()
	r := Convert(m, "nginx.conf", o)
	sound(t, r)
	var b strings.Builder
	if !r.Refused() {
		show := skip == ""
		for line := range strings.Lines(string(r.Text())) {
			if show {
				b.WriteString(line)
			}
			show = show || strings.HasPrefix(strings.TrimSpace(line), skip)
		}
	}
	if lines {
		writePlaces(&b, r)
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "! %s\n", n)
	}
	return strings.TrimLeft(b.String(), "\n")
}

// writePlaces writes which line of nginx's each value comes from.
func writePlaces(w io.Writer, r *Converted) {
	lines := r.Source("nginx.conf").Lines
	var write func(path string, v conf.Value)
	write = func(path string, v conf.Value) {
		if v.Line > 0 {
			fmt.Fprintf(w, "%-40s <- %s:%d\n", path, lines[v.Line-1].File, lines[v.Line-1].Line)
		}
		switch of := v.Of.(type) {
		case []conf.Field:
			for _, f := range of {
				write(strings.TrimPrefix(path+"."+f.Key, "."), f.Value)
			}
		case []conf.Value:
			for i, e := range of {
				write(fmt.Sprintf("%s[%d]", path, i), e)
			}
		}
	}
	write("", new(values).block(r.root))
}

// sound checks what holds for every result: what is not refused can be loaded, and its TOML says the same.
func sound(t require.TestingT, r *Converted) {
	if r.Refused() {
		return
	}
	handed, _, err := conf.Load(r.Source("nginx.conf"))
	require.NoError(t, err, "%s", r.Text())
	written, _, err := conf.Load(conf.Source{Name: "weir.toml", Text: r.Text()})
	require.NoError(t, err, "%s", r.Text())
	require.Equal(t, string(written.TOML()), string(handed.TOML()))
}

// sample is one of the configurations in testdata/samples.
func sample(t *testing.T, name string) memory {
	t.Helper()
	m := memory{}
	root := filepath.Join("testdata", "samples", name)
	require.NoError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(root, path)
		m[name] = string(text)
		return err
	}))
	require.NotEmpty(t, m["nginx.conf"])
	return m
}

// Bytes that are no UTF-8 do no harm in a comment; nor do words that nginx does not read keep weir busy.
func TestHostileTexts(t *testing.T) {
	for text, want := range map[string]string{
		"# caf\xe9\nevents {} # \xff\nhttp {}":                             "",
		"events {}\nhttp { server { return 200 caf\xe9; } }":               "nginx.conf:2: the text is not UTF-8",
		"events {}\n" + strings.Repeat("a", 1<<20) + " x;":                 `nginx.conf:2: too long parameter "aaaaaaaaaa..." started`,
		"events {}\nhttp { server_name " + strings.Repeat("b", 5000) + ";": `nginx.conf:2: too long parameter "bbbbbbbbbb..." started`,
		"events {}\nhttp { sendfile on":                                    `nginx.conf:2: unexpected end of file, expecting ";" or "}"`,
		"events {}\nhttp { include /dev/null; include [a; }":               "",
	} {
		var got []string
		name := filepath.Join(t.TempDir(), "nginx.conf")
		require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
		for _, n := range Convert(&wire.Disk{}, name, Options{Check: true}).Notes {
			if n.Kind == wire.Refused {
				n.File = filepath.Base(n.File)
				got = append(got, n.String())
			}
		}
		require.Equal(t, want, strings.Join(got, "\n"), "%.50q", text)
	}
}

// FuzzConvert: no text makes the conversion panic, what is not refused loads, and lenient refuses only what is no syntax.
func FuzzConvert(f *testing.F) {
	for _, seed := range []string{
		"events {}\nhttp { include conf.d/*.conf; }",
		"http { upstream a { server 127.0.0.1:1 weight=2; keepalive 4; hash $uri consistent; } server { location / { proxy_pass http://a; } } }",
		"http { server { listen 80 default_server; listen [::]:80 ipv6only=on so_keepalive=1m::3; return 301 https://$host$request_uri; } }",
		`http { log_format a escape=json '{"a":"$uri"' "}"; access_log l a buffer=4k flush=1s; add_header A "b\"c" always; }`,
		"http { limit_req_zone $binary_remote_addr zone=a:10m rate=1r/s; limit_req zone=a burst=5 nodelay; limit_conn_zone $uri zone=b:1m; limit_conn b 3; }",
		"http { map $a $b { default x; '' y; } gzip on; root /x; server { if ($a) { return 1; } } }",
	} {
		f.Add(seed, "server { location ~* \\.php$ { deny all; error_page 404 =200 @x; } location @x { return 200 '${host}'; } }")
	}
	f.Fuzz(func(t *testing.T, main, included string) {
		m := memory{"nginx.conf": main, "conf.d/a.conf": included, "b": included}
		strict := Convert(m, "nginx.conf", Options{Check: true})
		sound(t, strict)
		lenient := Convert(m, "nginx.conf", Options{Lenient: true})
		sound(t, lenient)
		for _, n := range lenient.Notes {
			if n.Kind == wire.Refused && n.Directive != "" && n.Directive != "include" {
				t.Errorf("refused although lenient: %s", n)
			}
		}
		if !strict.Refused() {
			require.Equal(t, string(strict.Text()), string(lenient.Text()))
		}
	})
}
