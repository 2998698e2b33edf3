// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// syslogServer is a socket that syslog messages are sent to.
type syslogServer struct {
	t    testing.TB
	conn net.PacketConn
}

func listenSyslog(t testing.TB, network, address string) *syslogServer {
	t.Helper()
	c, err := net.ListenPacket(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &syslogServer{t, c}
}

// find reads messages until one matches.
func (s *syslogServer) find(pattern string) {
	s.t.Helper()
	_ = s.conn.SetReadDeadline(time.Now().Add(ioDeadline))
	var seen []string
	message := make([]byte, 64<<10)
	for re := regexp.MustCompile(pattern); ; {
		n, _, err := s.conn.ReadFrom(message)
		if err != nil {
			s.t.Fatalf("no message matches %s: %v\n%s", pattern, err, strings.Join(seen, "\n"))
		}
		if re.Match(message[:n]) {
			return
		}
		seen = append(seen, string(message[:n]))
	}
}

// Lines of access logs and error logs are sent to syslog servers as nginx sends them, in addition to files; a server that comes later gets the lines from then on.
func TestSyslog(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	udp := listenSyslog(t, "udp", "127.0.0.1:0")
	dir, err := os.MkdirTemp("", "weir-syslog")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	socket, late := filepath.Join(dir, "log"), filepath.Join(dir, "late")
	unix := listenSyslog(t, "unixgram", socket)
	if err := os.Chmod(socket, 0o777); err != nil {
		t.Fatal(err)
	}
	p := startNginxConf(t, `worker_processes 1;
pid run/weir.pid;
error_log stderr notice;
error_log logs/error.log info;
error_log "syslog:server=unix:`+socket+`,tag=errors" info;
events {}
http {
    access_log syslog:server=`+udp.conn.LocalAddr().String()+`,facility=daemon,severity=debug,tag=web,nohostname;
    access_log logs/access.log;
    server {
        listen 127.0.0.1:@PORT1@;
        location / { return 200 "ok"; }
        location /late {
            access_log "syslog:server=unix:`+late+`";
            return 200 "ok";
        }
        location /files { root "`+dir+`"; }
    }
}
`)
	p.allow(`syslog|No such file`)
	stamp := `[A-Z][a-z]{2} [ 1-3]\d \d\d:\d\d:\d\d `
	p.get("/a")
	udp.find(`^<31>` + stamp + `web: 127\.0\.0\.1 - - \[.*\] "GET /a HTTP/1\.1" 200 2 "-" "-"$`)
	p.get("/files/none")
	host, _ := os.Hostname()
	unix.find(`^<187>` + stamp + regexp.QuoteMeta(strings.ToLower(host)) + ` errors: \d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[error\] \d+#\d+: \*\d+ open\(\) .*failed \(2: No such file`)
	for _, name := range []string{"error.log", "access.log"} { // the first one is among those that stderr's lines also go to
		eventually(t, ioDeadline, name+" has the request", func() bool { return strings.Contains(p.readLog(name), "/files/none") })
	}
	if r := p.get("/late/1"); r.status != 200 {
		t.Errorf("status %d without a syslog server", r.status)
	}
	server := listenSyslog(t, "unixgram", late)
	if err := os.Chmod(late, 0o777); err != nil {
		t.Fatal(err)
	}
	p.get("/late/2")
	server.find(`^<190>` + stamp + regexp.QuoteMeta(strings.ToLower(host)) + ` nginx: .*"GET /late/2 HTTP/1\.1" 200`)
}
