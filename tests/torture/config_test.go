// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package torture

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// setting is what is drawn for a run.
type setting struct {
	workers     int
	connections int
	descriptors int // 0: what there are
	chaos       bool
	calm        bool // clients and origins do what they should: each answer has to be whole
	clients     int
	keys        int // of the limits
	config      string
}

func pick[T any](rng *rand.Rand, of ...T) T { return of[rng.IntN(len(of))] }

// draw makes the setting of a run. In the config @DIR@ is the prefix, @PORT@ where weir listens, and @ORIGINn@ are origins.
func draw(rng *rand.Rand) setting {
	s := setting{
		workers:     pick(rng, 1, 2, 3),
		connections: pick(rng, 48, 96, 512),
		descriptors: pick(rng, 0, 0, 160),
		chaos:       rng.IntN(3) > 0,
		clients:     pick(rng, 20, 60),
		keys:        pick(rng, 6, 60),
	}
	wait, linger := "2s", pick(rng, "on", "off", "always")
	if s.calm = rng.IntN(4) == 0; s.calm {
		s.chaos, wait, linger = false, "60s", pick(rng, "on", "always")
	}
	size := pick(rng, "4k", "4k", "16k")
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("worker_processes = %d\nworker_connections = %d\nworker_shutdown_timeout = %q", s.workers, s.connections, pick(rng, "1s", "3s"))
	line("error_log = { path = \"logs/error.log\", level = %q, format = %q }", pick(rng, "info", "warn"), pick(rng, "text", "nginx", "json"))
	line("shared_mutex = %q\naccept_mutex = %v\naccept_mutex_delay = \"50ms\"", pick(rng, "atomic", "atomic", "flock"), pick(rng, false, false, true))
	line("[buffers]\nsize = %q\nlimit = %d\nreserve = %d\ntemp_quota = %q\nsplice = %q\nmaxrewrite = \"256\"", size, pick(rng, 0, 16, 40), pick(rng, 1, 2), pick(rng, "0", "256k", "8m"), pick(rng, "auto", "off"))
	line("[http]\naccess_log = [{ path = \"logs/access.log\", buffer = \"4k\", flush = \"1s\" }]")
	line("client_header_timeout = %[1]q\nclient_body_timeout = %[1]q\nsend_timeout = %[1]q\nproxy_connect_timeout = %[1]q\nproxy_read_timeout = %[1]q\nproxy_send_timeout = %[1]q", wait)
	line("keepalive_timeout = \"3s\"\nlingering_time = \"2s\"\nlingering_timeout = \"1s\"")
	line("client_max_body_size = \"3m\"")
	line("keepalive_requests = %d\nlarge_client_header_buffers = { number = 2, size = \"2k\" }", pick(rng, 3, 1000))
	line("proxy_buffer_size = %q\nproxy_buffers = { number = %d, size = %q }", size, pick(rng, 2, 8), size)
	line("client_body_buffer_size = %q\nproxy_max_temp_file_size = %q", pick(rng, "1k", "16k"), pick(rng, "0", "64k", "1g"))
	line("proxy_pass_trailers = %v", pick(rng, true, false))
	line("reset_timedout_connection = %v\nlingering_close = %q", pick(rng, true, false), linger)
	line("proxy_next_upstream = [\"error\", \"timeout\", \"http_502\"]\nproxy_next_upstream_tries = 3")
	line("limit_conn_zone.addr = { key = \"$arg_k\", size = \"64k\" }\nlimit_req_zone.rate = { key = \"$arg_k\", size = \"64k\", rate = \"200r/s\" }\nlimit_conn_zone.clients = { key = \"$binary_remote_addr\", size = \"64k\" }")
	line("[http.upstream.app]\nkeepalive = %d\nkeepalive_total = %d\nkeepalive_requests = 20\nkeepalive_timeout = \"2s\"", pick(rng, 0, 2, 16), pick(rng, 0, 3))
	line("%s", pick(rng, "", "", "health_check = { interval = \"500ms\", timeout = \"500ms\", uri = \"/x/len/1/0\" }"))
	line("queue = { size = 10, timeout = \"1s\" }\n%s", pick(rng, "", "least_conn = true", "sticky = { cookie = \"s\" }"))
	line("server = [{ address = \"@ORIGIN1@\", max_conns = %d, max_fails = 0 }, { address = \"@ORIGIN2@\", max_conns = %d, max_fails = 2, fail_timeout = \"1s\" }, { address = \"127.0.0.1:1\", backup = true }]",
		pick(rng, 0, 4, 20), pick(rng, 0, 5))
	line("[[http.server]]\nlisten = [{ address = \"127.0.0.1:@PORT@\", reuseport = %v%s%s }]\nroot = \"@DIR@/files\"", pick(rng, false, true), pick(rng, "", ", sndbuf = 4096", ", rcvbuf = 4096"), pick(rng, "", ", limit_conn = [{ zone = \"clients\", max = 1000 }]"))
	for _, l := range locations(rng) {
		line("[[http.server.location]]\n%s", l)
	}
	s.config = b.String()
	return s
}

// locations are those of the server; proxied paths are /NAME/MODE/LENGTH/ID, see origin_test.go.
func locations(rng *rand.Rand) []string {
	limits := "limit_conn = [{ zone = \"addr\", max = 3, queue = { size = 5, timeout = \"1s\" } }]\nlimit_req = [{ zone = \"rate\", burst = 50 }]\n"
	proxy := "proxy_pass = \"http://app\"\n"
	gzip := "gzip = true\ngzip_types = [\"*\"]\ngzip_proxied = [\"any\"]\n"
	list := []string{
		"path = \"/\"\n" + proxy,
		"path = \"/lim/\"\n" + proxy + limits,
		"path = \"/gz/\"\n" + proxy + gzip + limits,
		"path = \"/auth/\"\nauth_request = \"/_auth\"\n" + proxy + limits,
		"path = \"= /_auth\"\ninternal = true\nproxy_pass = \"http://app/auth/auth/0/0\"\nproxy_pass_request_body = false\n" + limits,
		"path = \"/mirror/\"\nmirror = [\"/_mirror\", \"/_mirror\"]\n" + proxy,
		"path = \"= /_mirror\"\ninternal = true\n" + proxy + limits,
		"path = \"/ep/\"\nproxy_intercept_errors = true\nrecursive_error_pages = true\nerror_page = [{ codes = [500, 502, 504], uri = \"@again\" }, { codes = [503], uri = \"/files/page.html\" }, { codes = [404], uri = \"/lim/len/3000/0\" }]\n" + proxy + limits,
		"path = \"@again\"\n" + proxy + gzip,
		"path = \"/files/\"\nautoindex = true\ngzip = true\nlimit_conn = [{ zone = \"addr\", max = 3 }]\n",
		"path = \"/inner/\"\ninternal = true\nalias = \"@DIR@/files/files/\"\n" + gzip,
		"path = \"/try/\"\ntry_files = [\"/files$arg_f\", \"@again\"]\n" + limits,
		"path = \"/unbuf/\"\nproxy_buffering = false\nproxy_request_buffering = false\n" + proxy + limits,
		"path = \"/slow/\"\nlimit_rate = \"200k\"\n" + proxy + limits,
		"path = \"/var/\"\nproxy_pass = \"http://@ORIGIN1@$request_uri\"\n" + gzip,
		"path = \"/ret/\"\nreturn = { code = 200, text = \"$request_uri\" }\n" + limits + gzip,
		"path = \"/sub/\"\nsub_filter = [{ string = \"ho\", replacement = \"" + replacement + "\" }]\nsub_filter_once = false\nsub_filter_types = [\"*\"]\n" + proxy + gzip,
		"path = \"/plain/\"\nsub_filter = [{ string = \"ho\", replacement = \"" + replacement + "\" }]\nsub_filter_once = false\nsub_filter_types = [\"*\"]\ngunzip = true\n" + proxy,
		"path = \"= /metrics\"\naccess_log = false\nmetrics = true\n",
		"path = \"/rw/\"\nrewrite = [{ regex = \"^/rw/(.*)$\", replacement = \"/gz/$1\", flag = \"last\" }]\n",
		"path = \"/ws/\"\nproxy_read_timeout = \"1s\"\n" + proxy + "proxy_set_header = { Upgrade = \"$http_upgrade\", Connection = \"upgrade\" }\n" + limits,
		"path = \"/all/\"\nauth_request = \"/_auth\"\nmirror = [\"/_mirror\"]\nproxy_intercept_errors = true\nerror_page = [{ codes = [500, 502, 503, 504], uri = \"@again\" }]\nproxy_request_buffering = " +
			pick(rng, "true", "false") + "\n" + proxy + gzip + limits,
		"path = \"/basic/\"\nauth_basic = \"x\"\nauth_basic_user_file = \"@DIR@/conf/htpasswd\"\nsatisfy = \"any\"\nauth_request = \"/_auth\"\n" + proxy,
	}
	return list
}

// replacement takes the place of "ho" in the answers of some locations.
const replacement = "<$arg_k>"

// htpasswd has the user "u" with the password "p", by bcrypt and quickly.
const htpasswd = "u:$2a$04$pwHAjGbCLiNHfGBuC7.ho.QD5uyeFy7vQXXePtaXZek2rML8WVzKG\n"

// prepare makes the prefix of a run.
func prepare(t *testing.T, config string, replace ...string) string {
	dir, err := os.MkdirTemp("", "weir-torture-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() && os.Getenv("WEIR_TORTURE_KEEP") != "" {
			t.Logf("kept: %s", dir)
			return
		}
		os.RemoveAll(dir)
	})
	for _, sub := range []string{"", "conf", "logs", "run", "tmp", "files", "files/files"} {
		mode := os.FileMode(0o755)
		if sub == "tmp" {
			mode = 0o1777
		}
		path := filepath.Join(dir, sub)
		if err := os.MkdirAll(path, mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	config = strings.NewReplacer(append(replace, "@DIR@", dir)...).Replace(config)
	big := make([]byte, 300000)
	pattern(big, 7, 0)
	for name, text := range map[string][]byte{
		"conf/weir.toml": []byte(config), "conf/htpasswd": []byte(htpasswd), "files/files/page.html": []byte("page"), "files/files/big": big, "files/files/small": big[:2000],
	} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
