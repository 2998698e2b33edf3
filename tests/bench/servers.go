// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"
)

// allProxies are the names that PROXIES takes, in the order of the report. Read-only.
var allProxies = [...]string{"weir", "nginx", "haproxy"}

// Files that the origin serves. Read-only.
var originFiles = map[string]int{"small": 28, "100k": 100 << 10, "10m": 10 << 20}

// site is what a server's config is made from.
type site struct {
	Folder      string
	Port        int // it listens here
	LimitPort   int // and here, where limit_conn is on
	OriginPort  int
	Connections int // its table of connections, to both sides
	Clients     int // HAProxy sizes its tables by the clients alone
	// Mixed has the proxy count for its metrics (weir: all that it knows; nginx has stub_status and HAProxy always counts), ask limit_req of every
	// request, and choose one of four addresses of the origin by least_conn.
	Mixed bool
}

// Origins are the addresses of the origin that the proxy has.
func (s site) Origins() []string {
	if !s.Mixed {
		return originAddresses[:1]
	}
	return originAddresses[:]
}

// OriginAddresses are all that the origin listens on.
func (s site) OriginAddresses() []string { return originAddresses[:] }

// originAddresses are where the origin listens. Read-only.
var originAddresses = [...]string{"127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"}

const originConfig = `worker_processes 1;
pid {{.Folder}}/nginx.pid;
error_log {{.Folder}}/error.log crit;
worker_rlimit_nofile {{.Connections}};
events { worker_connections {{.Connections}}; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  open_file_cache max=16;
  client_body_temp_path {{.Folder}}/body;
  proxy_temp_path {{.Folder}}/proxy;
  fastcgi_temp_path {{.Folder}}/fastcgi;
  uwsgi_temp_path {{.Folder}}/uwsgi;
  scgi_temp_path {{.Folder}}/scgi;
  server {
    root {{.Folder}}/files;{{range .OriginAddresses}}
    listen {{.}}:{{$.Port}} backlog=4096;{{end}}
  }
}
`

const nginxConfig = `worker_processes 1;
pid {{.Folder}}/nginx.pid;
error_log {{.Folder}}/error.log crit;
worker_rlimit_nofile {{.Connections}};
events { worker_connections {{.Connections}}; }
http {
  access_log {{.Folder}}/access.log combined buffer=32k flush=1s;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  client_body_temp_path {{.Folder}}/body;
  proxy_temp_path {{.Folder}}/proxy;
  fastcgi_temp_path {{.Folder}}/fastcgi;
  uwsgi_temp_path {{.Folder}}/uwsgi;
  scgi_temp_path {{.Folder}}/scgi;
  upstream origin { {{if .Mixed}}
    least_conn;{{end}}{{range .Origins}}
    server {{.}}:{{$.OriginPort}};{{end}}
    keepalive 1024;
    keepalive_requests 1000000000;
  }
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
  limit_conn_zone $binary_remote_addr zone=addr:10m;
  limit_req_zone $binary_remote_addr zone=rate:10m rate=1000000r/s;
  server {
    listen 127.0.0.1:{{.Port}} backlog=4096;{{if .Mixed}}
    limit_req zone=rate burst=100000 nodelay;
    location = /status { stub_status; }{{end}}
    location / { proxy_pass http://origin; }
  }
  server {
    listen 127.0.0.1:{{.LimitPort}} backlog=4096;
    limit_conn addr 1000;
    location / { proxy_pass http://origin; }
  }
}
`

const haproxyConfig = `global
  nbthread 1
  no strict-limits
  maxconn {{.Clients}}
  log ring@access local0
ring access
  format raw
  maxlen 1200
  size 1048576
defaults
  mode http
  log global
  option httplog
  option forwardfor
  option splice-response
  http-reuse always
  timeout connect 60s
  timeout client 600s
  timeout server 60s
frontend f
  bind 127.0.0.1:{{.Port}} backlog 4096
{{- if .Mixed}}
  stick-table type ip size 100k expire 60s store http_req_rate(1s)
  http-request track-sc0 src
  http-request deny deny_status 503 if { sc0_http_req_rate gt 1000000 }
{{- end}}
  default_backend b
frontend limited
  bind 127.0.0.1:{{.LimitPort}} backlog 4096
  stick-table type ip size 100k expire 60s store conn_cur
  http-request track-sc0 src
  http-request deny deny_status 503 if { sc0_conn_cur gt 1000 }
  default_backend b
backend b{{if .Mixed}}
  balance leastconn{{end}}{{range .Origins}}
  server origin-{{.}} {{.}}:{{$.OriginPort}} pool-max-conn 1024{{end}}
`

// weirUser is the line of weirConfig that names the workers' user.
const weirUser = `user = "nobody"`

const weirConfig = `worker_processes = 1
worker_connections = {{.Connections}}
` + weirUser + `
pid = "weir.pid"
control = "weir.sock"
error_log = { path = "error.log", level = "crit" }

[http]
keepalive_requests = 1000000000
keepalive_timeout = "600s"
access_log = [{ path = "access.log", format = "combined", buffer = "32k", flush = "1s" }]

[http.limit_conn_zone.addr]
key = "$binary_remote_addr"
size = "10m"

[http.limit_req_zone.rate]
key = "$binary_remote_addr"
size = "10m"
rate = "1000000r/s"

[http.upstream.origin]
keepalive = 1024
keepalive_requests = 1000000000
least_conn = {{.Mixed}}
server = [{{range .Origins}}{ address = "{{.}}:{{$.OriginPort}}" }, {{end}}]

[[http.server]]
listen = [{ address = "127.0.0.1:{{.Port}}", backlog = 4096 }]
{{- if .Mixed}}
limit_req = [{ zone = "rate", burst = 100000, nodelay = true }]

  [[http.server.location]]
  path = "= /metrics"
  metrics = true
{{- end}}

  [[http.server.location]]
  path = "/"
  proxy_pass = "http://origin"
  proxy_set_header = { X-Forwarded-For = "$proxy_add_x_forwarded_for" }

[[http.server]]
listen = [{ address = "127.0.0.1:{{.LimitPort}}", backlog = 4096 }]
limit_conn = [{ zone = "addr", max = 1000 }]

  [[http.server.location]]
  path = "/"
  proxy_pass = "http://origin"
  proxy_set_header = { X-Forwarded-For = "$proxy_add_x_forwarded_for" }
`

// server says how one of the programs is configured and started.
type server struct {
	config  string
	file    string // the config's name in the folder
	command func(folder, config string) []string
	version []string // prints the version
	alone   bool     // one process, without a master
	mixed   bool     // site.Mixed
}

// serverOf describes a proxy, or the origin. binaries is the folder with weir's binaries.
func serverOf(name, binaries string) server {
	nginx := func(folder, config string) []string {
		return append(nginxCommand(folder, config), "-g", "daemon off;")
	}
	switch name {
	case "origin":
		return server{config: originConfig, file: "nginx.conf", command: nginx, version: []string{"nginx", "-v"}}
	case "nginx":
		return server{config: nginxConfig, file: "nginx.conf", command: nginx, version: []string{"nginx", "-v"}}
	case "haproxy":
		return server{config: haproxyConfig, file: "haproxy.cfg", version: []string{"haproxy", "-v"},
			command: func(_, config string) []string { return []string{"haproxy", "-W", "-f", config} }}
	default:
		weir := filepath.Join(binaries, "weir")
		return server{config: weirConfig, file: "weir.toml", version: []string{weir, "-v"},
			command: func(folder, config string) []string { return []string{weir, "-p", folder, "-c", config} }}
	}
}

// nginxCommand runs nginx with a config.
func nginxCommand(folder, config string) []string {
	return []string{"nginx", "-p", folder, "-e", filepath.Join(folder, "error.log"), "-c", config}
}

// start writes the config into a folder of its own and starts the server on ports from the kernel.
func (s server) start(ctx context.Context, name, folder string, core, originPort, connections int) (runningServer, error) {
	var running runningServer
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return running, err
	}
	ports, err := freePorts(2)
	if err != nil {
		return running, err
	}
	running.port, running.limitPort = ports[0], ports[1]
	var text bytes.Buffer
	parsed := template.Must(template.New(name).Parse(s.config))
	values := site{Folder: folder, Port: running.port, LimitPort: running.limitPort, OriginPort: originPort,
		Connections: connections, Clients: min(connections, maxClients), Mixed: s.mixed}
	if err := parsed.Execute(&text, values); err != nil {
		return running, err
	}
	config := filepath.Join(folder, s.file)
	if err := os.WriteFile(config, text.Bytes(), 0o644); err != nil {
		return running, err
	}
	running.process, err = startProcess(ctx, name, folder, core, loopback(running.port), s.command(folder, config)...)
	if err != nil {
		return running, err
	}
	if s.alone {
		running.worker = running.command.Process.Pid
	} else if err := running.findWorker(); err != nil {
		running.stop()
		return running, err
	}
	return running, nil
}

// runningServer is a server that accepts.
type runningServer struct {
	*process
	port      int
	limitPort int // of the proxies
}

// address is where a workload goes.
func (s runningServer) address(w workload) string {
	if w.limited {
		return loopback(s.limitPort)
	}
	return loopback(s.port)
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// versionOf is the version in the first line that a program prints about itself: its first word with a digit, or its last word.
func versionOf(command ...string) string {
	out, err := exec.Command(command[0], command[1:]...).CombinedOutput()
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if err != nil && line == "" {
		return "unknown"
	}
	return versionIn(line)
}

func versionIn(line string) string {
	words := strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" /:,", r) })
	for _, word := range words {
		if strings.ContainsAny(word, "0123456789") {
			return word
		}
	}
	if len(words) == 0 {
		return "unknown"
	}
	return words[len(words)-1]
}

// writeOriginFiles makes the folder that the origin serves.
func writeOriginFiles(folder string) error {
	files := filepath.Join(folder, "files")
	if err := os.MkdirAll(files, 0o755); err != nil {
		return err
	}
	for name, size := range originFiles {
		body := bytes.Repeat([]byte("The low dam lets it through. "), size/29+1)[:size]
		if err := os.WriteFile(filepath.Join(files, name), body, 0o644); err != nil {
			return fmt.Errorf("writeOriginFiles: %w", err)
		}
	}
	return nil
}
