// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"fmt"
	"strings"
)

// site is the usual config of a test: one server on @PORT1@, one location "/",
// one group of origins. Each text is TOML for the place it is named after.
type site struct {
	workers   int      // 1 if not given
	origin    string   // the group's only server, at host:port
	servers   []string // or its servers, as inline tables
	upstream  string   // more keys of the group
	main      string   // top-level keys
	http      string   // keys of [http], subtables last
	server    string   // keys of the server
	location  string   // keys of location "/"
	proxyPass string   // location "/" instead of "http://app"; "-": none
	more      string   // further tables: locations, servers
}

// accessLog is the default access log of a test: written at once, readable.
const accessLog = `access_log = [{ path = "logs/access.log", format = "combined" }]`

func (s site) toml() string {
	workers, servers, log := max(s.workers, 1), s.servers, accessLog
	if s.origin != "" {
		servers = append(servers, fmt.Sprintf("{ address = %q }", s.origin))
	}
	if strings.Contains(s.http, "access_log =") {
		log = ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "worker_processes = %d\npid = \"run/weir.pid\"\ncontrol = \"run/weir.sock\"\n", workers)
	if !strings.Contains(s.main, "error_log") {
		b.WriteString("error_log = { path = \"stderr\", level = \"info\" }\n")
	}
	fmt.Fprintf(&b, "%s\n\n[http]\n%s\n%s\n", s.main, log, s.http)
	if len(servers) > 0 {
		fmt.Fprintf(&b, "\n[http.upstream.app]\n%s\nserver = [\n  %s,\n]\n", s.upstream, strings.Join(servers, ",\n  "))
	}
	fmt.Fprintf(&b, "\n[[http.server]]\n")
	if !strings.Contains(s.server, "listen =") {
		b.WriteString("listen = [\"127.0.0.1:@PORT1@\"]\n")
	}
	fmt.Fprintf(&b, "%s\n\n[[http.server.location]]\npath = \"/\"\n", s.server)
	switch s.proxyPass {
	case "":
		b.WriteString("proxy_pass = \"http://app\"\n")
	case "-":
	default:
		fmt.Fprintf(&b, "proxy_pass = %q\n", s.proxyPass)
	}
	fmt.Fprintf(&b, "%s\n\n%s\n", s.location, s.more)
	return b.String()
}

// location renders one more location of the server before it.
func location(path string, keys ...string) string {
	return fmt.Sprintf("[[http.server.location]]\npath = %q\n%s\n\n", path, strings.Join(keys, "\n"))
}
