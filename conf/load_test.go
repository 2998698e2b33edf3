// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/internal/access"
)

// compare says how two configurations differ.
func compare(want, got any) string {
	return cmp.Diff(want, got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }), cmp.Comparer(func(a, b Network) bool { return a == b }),
		cmp.Comparer(func(a, b access.Net) bool { return a == b }))
}

// mustLoad loads a text that has no faults.
func mustLoad(t testing.TB, text string) *Config {
	t.Helper()
	cfg, _, err := Load(Source{Name: "test.toml", Text: []byte(text), Prefix: "/prefix"})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return cfg
}

func address(text string) Address {
	a, err := parseAddress(text)
	if err != nil {
		panic(err)
	}
	return a
}

// TestDefaults pins the defaults: each is a promise to users.
func TestDefaults(t *testing.T) {
	c := mustLoad(t, "[[http.server]]")
	wantTop := Config{
		WorkerProcesses: 0, WorkerConnections: 4096, WorkerShutdownTimeout: 30 * time.Second, ReloadTimeout: 30 * time.Second,
		UpgradeTimeout: 30 * time.Second, UpgradeHold: 5 * time.Second, MaxGenerations: 4, AcceptMutexDelay: 500 * time.Millisecond,
		User: User{Name: "nobody"}, Pid: "/prefix/run/weir.pid", Control: "/prefix/run/weir.sock", StatePath: "/prefix/run/weir.state",
		ErrorLog: ErrorLog{Path: "stderr", Level: LevelNotice, Format: ErrorLogText}, Buffers: Buffers{Size: 16384, Reserve: 2, TempPath: "/prefix/tmp", TempQuota: 1 << 30, MaxRewrite: 1024},
		Listeners: []Listener{{Listen: Listen{Address: address("*:80"), Backlog: 511, IPv6Only: true}, Servers: []int{0}}},
	}
	wantServer := ServerSettings{time.Minute, 1024, NumberSize{4, 8192}, true, 512, 4096, HeadSettings{IgnoreInvalidHeaders: true, MaxHeaders: 1000}}
	want := Settings{
		KeepaliveTimeout: 75 * time.Second, KeepaliveRequests: 1000, KeepaliveTime: time.Hour, KeepaliveDisable: []string{"msie6"},
		ClientBodyTimeout: time.Minute, SendTimeout: time.Minute, ClientBodyBufferSize: 16384, ClientMaxBodySize: 1 << 20,
		LingeringClose: LingeringOn, LingeringTime: 30 * time.Second, LingeringTimeout: 5 * time.Second,
		AccessLogs: []AccessLog{{Path: "/prefix/logs/access.log", Format: "combined"}}, OpenLogFileCache: LogFileCache{Inactive: 10 * time.Second, Valid: time.Minute, MinUses: 1}, ServerTokens: "on",
		ProxyConnectTimeout: time.Minute, ProxyReadTimeout: time.Minute, ProxySendTimeout: time.Minute,
		ProxyBuffering: true, ProxyBuffers: NumberSize{8, 16384}, ProxyBufferSize: 16384,
		LimitRate: "0", LimitRateAfter: "0", ProxyLimitRate: "0", ProxyMaxTempFileSize: 1 << 30, ProxyRequestBuffering: true, ProxyHTTPVersion: HTTP11,
		ProxySetHeader: []Header{{"Host", "$proxy_host"}}, ProxyRedirect: Redirects{{Default: true}}, ProxyNextUpstream: NextError | NextTimeout,
		LimitConnStatus: 503, LimitConnLogLevel: LimitLevel(LevelError),
		LimitReqSettings: LimitReqSettings{LimitReqStatus: 503, LimitReqLogLevel: LimitLevel(LevelError)},
		AccessSettings:   AccessSettings{AuthBasic: "off", AuthRequest: "off", MirrorRequestBody: true, RealIPHeader: "X-Real-IP"},
		ProxySettings:    ProxySettings{ProxyPassRequestBody: true, ProxyPassRequestHeaders: true, ProxyBind: ProxyBind{Address: "off"}},
		ClientSettings:   ClientSettings{ChunkedTransferEncoding: true, MSIEPadding: true},
		ResolverSettings: ResolverSettings{ResolverTimeout: 30 * time.Second},
		RewriteSettings:  RewriteSettings{UninitializedVariableWarn: true, AbsoluteRedirect: true, PortInRedirect: true},
		JudgeSettings:    JudgeSettings{ModernBrowserValue: "1", AncientBrowserValue: "1"}, EncodingSettings: defaultEncoding,
		FileSettings: defaultFiles, FilterSettings: FilterSettings{SubFilterOnce: true, SubFilterTypes: []string{"text/html"}, AdditionTypes: []string{"text/html"}},
	}
	types := c.HTTP.Servers[0].Types
	c.HTTP.Servers[0].Types = nil
	if len(types) < 50 || types[0].Type != "text/html" || !slices.Contains(types[0].Extensions, "htm") {
		t.Errorf("types by default: %v", types)
	}
	if diff := compare(want, c.HTTP.Servers[0].Settings); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
	if diff := compare(wantServer, c.HTTP.Servers[0].ServerSettings); diff != "" {
		t.Errorf("server settings (-want +got):\n%s", diff)
	}
	top := *c
	top.HTTP = HTTP{}
	if diff := compare(wantTop, top); diff != "" {
		t.Errorf("top level (-want +got):\n%s", diff)
	}
}

// TestDefaultConfig loads the embedded default, as it is and with every commented key in effect.
func TestDefaultConfig(t *testing.T) {
	text := string(Default())
	enabled := regexp.MustCompile(`(?m)^(\s*)#([^ \n])`).ReplaceAllString(text, "$1$2")
	if text == enabled {
		t.Fatal("nothing is commented out")
	}
	c := mustLoad(t, text)
	all := mustLoad(t, enabled)
	if got := len(all.HTTP.Servers[0].Locations); got <= len(c.HTTP.Servers[0].Locations) {
		t.Errorf("%d locations with all enabled", got)
	}
	if zone := c.HTTP.LimitConnZones[0]; zone.Key != "$binary_remote_addr_prefix" || len(c.HTTP.Servers[0].Locations[0].LimitConns) != 1 {
		t.Error("the proxy has no limit for a client")
	}
	front, demo := c.HTTP.Servers[0], c.HTTP.Servers[1]
	if front.Listen[0].Address != address("127.0.0.1:8080") || c.Groups[front.Locations[0].ProxyPass.Group].Servers[0].Address.Address != demo.Listen[0].Address {
		t.Error("the proxy is not in front of the demo origin")
	}
	for _, l := range c.Listeners {
		if !l.Address.IP.Addr().IsLoopback() {
			t.Errorf("the default listens on %s", l.Address)
		}
	}
}

// TestDefaultsInDefaultConfig checks that what is commented out in weir.toml at the top level, in [buffers] and in [http] is at its default,
// except for examples, which are named here.
func TestDefaultsInDefaultConfig(t *testing.T) {
	examples := map[string]bool{"add_trailer": true, "early_hints": true, "sub_filter": true, "charset_map": true, "add_before_body": true, "add_after_body": true,
		"proxy_hide_header": true, "proxy_pass_header": true, "add_header": true, "error_page": true, "main": true, "lines": true, "hash": true, "access": true, "auth_basic_user_file": true, "auth_request_set": true,
		"valid_referers": true, "secure_link": true, "secure_link_md5": true, "modern_browser": true, "ancient_browser": true, "proxy_method": true, "proxy_set_body": true, "proxy_cookie_flags": true}
	lines := regexp.MustCompile(`(?m)^#([a-z_]+) = (.*)$`).FindAllStringSubmatch(string(Default()), -1)
	if len(lines) < 40 {
		t.Fatalf("only %d keys found", len(lines))
	}
	const rest = "\nhttp.upstream.a.server = '127.0.0.1'\nhttp.limit_conn_zone.a.key = 'k'\nhttp.limit_conn_zone.a.size = '1m'\n" +
		"http.limit_req_zone.r = { key = 'k', size = '1m', rate = '1r/s' }\n"
	want := mustLoad(t, rest+"[[http.server]]")
	text := string(Default())
	for _, line := range lines {
		if examples[line[1]] {
			continue
		}
		at := ""
		for _, header := range regexp.MustCompile(`(?m)^\[(.*)\]$`).FindAllStringSubmatch(text[:strings.Index(text, line[0])], -1) {
			at = header[1]
		}
		switch at {
		case "http.upstream.demo":
			at = "http.upstream.a"
		case "http.limit_conn_zone.addr":
			at = "http.limit_conn_zone.a"
		}
		key := line[1]
		if at != "" {
			key = at + "." + key
		}
		if strings.HasPrefix(at, "[") { // in a server: an example
			continue
		}
		written := key + " = " + line[2] + rest + "[[http.server]]"
		if diff := compare(want, mustLoad(t, written)); diff != "" {
			t.Errorf("%s is not at its default (-want +got):\n%s", key, diff)
		}
	}
}

// TestInheritance checks the three levels, lists as a whole, and that a level does not change its parent or its neighbour.
func TestInheritance(t *testing.T) {
	c := mustLoad(t, `
[http]
send_timeout = "1s"
client_header_timeout = "2s"
keepalive_requests = 7
add_header = { A = "http" }
proxy_set_header = { X = "http" }
access_log = ["http.log"]
error_page = { codes = 404, text = "http" }
[[http.server]]
listen = 81
[[http.server.location]]
path = "/"
[[http.server]]
listen = 82
send_timeout = "3s"
client_header_timeout = "4s"
add_header = { B = "server" }
access_log = false
[[http.server.location]]
path = "/inherits"
[[http.server.location]]
path = "/own"
send_timeout = "5s"
add_header = {}
proxy_set_header = { Host = "h", Y = "location" }
access_log = { path = "location.log" }
error_page = [{ codes = [500, 501], uri = "/e" }]
[[http.server.location]]
path = "/again"
`)
	type level struct {
		send    time.Duration
		tries   int
		add     string
		set     string
		log     string
		page    string
		timeout time.Duration
	}
	of := func(s *Settings, timeout time.Duration) level {
		l := level{send: s.SendTimeout, tries: s.KeepaliveRequests, timeout: timeout}
		for _, h := range s.AddHeader {
			l.add += h.Name + "=" + string(h.Value) + " "
		}
		for _, h := range s.ProxySetHeader {
			l.set += h.Name + "=" + string(h.Value) + " "
		}
		for _, a := range s.AccessLogs {
			l.log += string(a.Path)
		}
		for _, e := range s.ErrorPages {
			l.page += fmt.Sprint(e.Codes, e.Text, e.URI, e.Response)
		}
		return l
	}
	first, second := &c.HTTP.Servers[0], &c.HTTP.Servers[1]
	base := level{time.Second, 7, "A=http ", "X=http Host=$proxy_host ", "/prefix/http.log", "[404]http-1", 2 * time.Second}
	server := base
	server.send, server.timeout, server.add, server.log = 3*time.Second, 4*time.Second, "B=server ", ""
	own := level{5 * time.Second, 7, "", "Host=h Y=location ", "/prefix/location.log", "[500 501]/e-1", 4 * time.Second}
	for _, c := range []struct {
		name      string
		want, got level
	}{
		{"http", base, of(&c.HTTP.Settings, c.HTTP.ClientHeaderTimeout)},
		{"server[0]", base, of(&first.Settings, first.ClientHeaderTimeout)},
		{"server[0].location[0]", base, of(&first.Locations[0].Settings, first.ClientHeaderTimeout)},
		{"server[1]", server, of(&second.Settings, second.ClientHeaderTimeout)},
		{"server[1].location[0]", server, of(&second.Locations[0].Settings, second.ClientHeaderTimeout)},
		{"server[1].location[1]", own, of(&second.Locations[1].Settings, second.ClientHeaderTimeout)},
		{"server[1].location[2]", server, of(&second.Locations[2].Settings, second.ClientHeaderTimeout)},
	} {
		if c.want != c.got {
			t.Errorf("%s:\nwant %+v\ngot  %+v", c.name, c.want, c.got)
		}
	}
}

// TestRoundTrip prints configurations and loads what was printed.
func TestRoundTrip(t *testing.T) {
	enabled := regexp.MustCompile(`(?m)^(\s*)#([^ \n])`).ReplaceAllString(string(Default()), "$1$2")
	for _, text := range []string{"", string(Default()), enabled, everything} {
		checkRoundTrip(t, mustLoad(t, text))
	}
}

func checkRoundTrip(t interface {
	Helper()
	Fatalf(string, ...any)
}, want *Config) {
	t.Helper()
	text := want.TOML()
	got, packed, _, err := LoadPacked(Source{Name: "printed.toml", Text: text, Prefix: "/prefix"})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	unpacked, err := Unpack(packed, "/prefix")
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if diff := compare(want, unpacked); diff != "" {
		t.Fatalf("unpacked: -want +got:\n%s\n%s", diff, text)
	}
	if diff := compare(want, got); diff != "" {
		t.Fatalf("-want +got:\n%s\n%s", diff, text)
	}
	if again := got.TOML(); !bytes.Equal(again, text) {
		t.Fatalf("printed twice:\n%s\n%s", text, again)
	}
}

// TestEverySettingIsSet checks that the text above leaves no field of any schema struct at its default: a key that is
// decoded into nothing, or printed as nothing, would show here.
func TestEverySettingIsSet(t *testing.T) {
	defaults := mustLoad(t, "[http.limit_conn_zone.a]\nkey = 'k'\nsize = '1m'\n[http.upstream.a]\nserver = 'localhost'\n[[http.server]]\n[[http.server.location]]\npath = '/'")
	c := mustLoad(t, everything)
	s := specs{}
	atDefault := func(f *fieldSpec, a, b any) bool {
		return reflect.DeepEqual(reflect.ValueOf(a).FieldByIndex(f.index).Interface(), reflect.ValueOf(b).FieldByIndex(f.index).Interface())
	}
	differ := func(name string, a, b any) {
		for _, f := range s.of(reflect.TypeOf(a)).fields {
			if atDefault(f, a, b) && f.tag.Get("key") != "true" && f.key != "secure_link_secret" { // which takes the place of secure_link
				t.Errorf("%s.%s is at its default", name, f.key)
			}
		}
	}
	differ("", *c, *defaults)
	differ("buffers", c.Buffers, defaults.Buffers)
	differ("error_log", c.ErrorLog, defaults.ErrorLog)
	differ("http", c.HTTP, defaults.HTTP)
	for _, f := range s.of(reflect.TypeFor[Upstream]()).fields { // a group has one method of choice: each is in another one
		if !slices.ContainsFunc(c.HTTP.Upstreams, func(u Upstream) bool { return !atDefault(f, u, defaults.HTTP.Upstreams[0]) }) {
			t.Errorf("upstream.%s is at its default", f.key)
		}
	}
	differ("limit_conn_zone", c.HTTP.LimitConnZones[0], defaults.HTTP.LimitConnZones[0])
	last := len(c.HTTP.Servers[0].Locations) - 1
	if !c.HTTP.Servers[0].Locations[last].StubStatus {
		t.Error("location.stub_status is at its default")
	}
	if at := c.HTTP.Servers[0].Locations[last].WorkerShutdownTimeout; at == nil || *at != 10*time.Minute {
		t.Errorf("location.worker_shutdown_timeout is %v", at)
	}
	listen := c.HTTP.Servers[0].Listen[1]
	differ("listen", listen, defaults.HTTP.Servers[0].Listen[0])
}

// TestOverrides lays -g over a file.
func TestOverrides(t *testing.T) {
	src := Source{Name: "f", Text: []byte("worker_processes = 2\n[http]\nsend_timeout = '1s'\nadd_header = { A = 'a' }\n[[http.server]]\nlisten = 81\n[[http.server]]\nlisten = 82")}
	for _, c := range []struct {
		over string
		ok   func(*Config) bool
	}{
		{"worker_processes = 4", func(c *Config) bool { return c.WorkerProcesses == 4 && len(c.HTTP.Servers) == 2 }},
		{"http.send_timeout = '9s'", func(c *Config) bool { return c.HTTP.Servers[1].SendTimeout == 9*time.Second && c.WorkerProcesses == 2 }},
		{"[http.add_header]\nB = 'b'", func(c *Config) bool { return len(c.HTTP.AddHeader) == 2 }},
		{"http.add_header = false\nhttp.server = []", func(c *Config) bool { return c == nil }},
		{"[[http.server]]\nlisten = 83", func(c *Config) bool { return len(c.HTTP.Servers) == 1 && len(c.Listeners) == 1 }},
		{"buffers.size = '32k'", func(c *Config) bool { return c.Buffers.Size == 32768 }},
	} {
		src.Overrides = c.over
		cfg, _, _ := Load(src)
		if !c.ok(cfg) {
			t.Errorf("%s: got %+v", c.over, cfg)
		}
	}
}

// FuzzLoad checks that Load never panics, and that what it accepts survives being printed.
func FuzzLoad(f *testing.F) {
	f.Add(string(Default()), "worker_processes = 2")
	f.Add(everything, "")
	files, err := os.ReadDir("testdata")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		if text, err := os.ReadFile("testdata/" + file.Name()); err == nil {
			for each := range strings.SplitSeq(string(text), "\n===\n") {
				config, _, _ := strings.Cut(each, "\n---\n")
				f.Add(config, "http.send_timeout = 1")
			}
		}
	}
	f.Fuzz(func(t *testing.T, text, overrides string) {
		cfg, _, err := Load(Source{Name: "fuzz", Text: []byte(text), Overrides: overrides, Prefix: "/prefix"})
		if (cfg == nil) != (err != nil) {
			t.Fatalf("config %v with error %v", cfg, err)
		}
		if cfg != nil {
			checkRoundTrip(t, cfg)
		}
	})
}
