// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package convert

import (
	"fmt"
	"strings"
	"testing"
)

// large is a configuration of so many servers with two locations each.
func large(servers int) memory {
	var b strings.Builder
	b.WriteString("events {}\nhttp {\nupstream a { server 127.0.0.1:1; }\n")
	for i := range servers {
		fmt.Fprintf(&b, `server {
  listen 8080;
  server_name s%d.example.com;
  location / {
    proxy_pass http://a;
    proxy_set_header Host $host;
    proxy_set_header X-Real-IP $remote_addr;
  }
  location /static/%d/ { return 404; }
}
`, i, i)
	}
	b.WriteString("}\n")
	return memory{"nginx.conf": b.String()}
}

// BenchmarkConvert converts 10,000 servers with 20,000 locations.
func BenchmarkConvert(b *testing.B) {
	m := large(10_000)
	for b.Loop() {
		if r := Convert(m, "nginx.conf", Options{}); r.Refused() {
			b.Fatal(r.Notes[0])
		}
	}
}
