// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"os"
	"strings"
	"testing"
	"time"
)

// Access logs with variables in their names are kept open by open_log_file_cache, until the logs are reopened; without it each line looks for its file anew.
func TestNamedLogs(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	cached := func(name, keys string) string {
		return location("/"+name, `access_log = [{ path = "logs/each/$arg_n.`+name+`", format = "uri" }]`, `open_log_file_cache = { max = 10, `+keys+` }`)
	}
	p := start(t, site{proxyPass: "-", http: `log_format = { uri = "$uri" }
access_log = [{ path = "logs/each/$arg_n.log", format = "uri" }]`, more: cached("kept", `inactive = "1h", valid = "1h"`) +
		cached("inactive", `inactive = "1ms"`) + cached("valid", `valid = "1ms"`) + cached("min_uses", `min_uses = 10`)})
	p.allow("access log")
	dir := p.path("logs", "each")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil { // whatever the mask
		t.Fatal(err)
	}
	has := func(name, lines string) {
		t.Helper()
		eventually(t, ioDeadline, "logs/each/"+name+" has "+lines, func() bool {
			text, _ := os.ReadFile(p.path("logs", "each", name))
			return strings.Join(strings.Fields(string(text)), " ") == lines
		})
	}
	p.get("/1?n=a")
	for _, name := range []string{"kept", "inactive", "valid", "min_uses"} {
		p.get("/" + name + "/1?n=a")
	}
	p.get("/2?n=b")
	has("a.log", "/1")
	has("a.kept", "/kept/1")
	has("b.log", "/2")
	for _, name := range []string{"inactive", "valid", "min_uses"} {
		has("a."+name, "/"+name+"/1")
	}
	for _, name := range []string{"a.log", "a.kept", "a.inactive", "a.valid", "a.min_uses"} {
		if err := os.Rename(p.path("logs", "each", name), p.path("logs", "each", name+".old")); err != nil {
			t.Fatal(err)
		}
	}
	p.get("/3?n=a")
	time.Sleep(2 * time.Millisecond) // what may be kept for 1 ms is not kept now
	for _, name := range []string{"kept", "inactive", "valid", "min_uses"} {
		p.get("/" + name + "/3?n=a")
	}
	for _, name := range []string{"inactive", "valid", "min_uses"} {
		has("a."+name, "/"+name+"/3")
	}
	has("a.log.old", "/1")
	has("a.log", "/3")
	has("a.kept.old", "/kept/1 /kept/3")
	if out, code := weirCommand(t, p.dir, "-s", "reopen"); code != 0 {
		t.Fatalf("reopen: %s", out)
	}
	p.get("/kept/4?n=a")
	has("a.kept", "/kept/4")
	has("a.kept.old", "/kept/1 /kept/3")
	if r := p.get("/5?n=none/none"); r.status != 404 {
		t.Errorf("status %d when the log cannot be opened", r.status)
	}
}
