// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package convert

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write directives.txt and docs/nginx-directives.md anew")

const tableFile = "../../docs/nginx-directives.md"

// contexts are the blocks that the table of directives names, and the blocks of the parser's that weir has nothing for.
var contexts = []struct {
	bit  context
	name string
}{
	{inMain, "main"}, {inEvents, "events"}, {inHTTP, "http"}, {inServer, "server"}, {inLocation, "location"}, {inUpstream, "upstream"},
	{0x20000000, "if in server"}, {0x40000000, "if in location"}, {0x80000000, "limit_except"},
}

// allDirectives reads the names in the parser's tables of nginx's own directives: they cannot be listed otherwise.
func allDirectives(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/nginxinc/nginx-go-crossplane").Output()
	require.NoError(t, err)
	var all []string
	for _, version := range []string{"latest", "126", "124"} {
		text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), "analyze_oss_"+version+"_directives.gen.go"))
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(`(?m)^\s+"(\w+)": \{$`).FindAllStringSubmatch(string(text), -1) {
			all = append(all, m[1])
		}
	}
	all = append(all, commercial...)
	slices.Sort(all)
	all = slices.Compact(all)
	require.Greater(t, len(all), 500)
	return slices.DeleteFunc(all, func(name string) bool { return whereOf(name) == "" })
}

// whereOf names the blocks a directive may stand in; "" for those of stream and mail.
func whereOf(name string) string {
	var where []string
	for _, c := range contexts {
		if slices.ContainsFunc(masks(name), func(m uint) bool { return context(m)&c.bit != 0 }) {
			where = append(where, c.name)
		}
	}
	return strings.Join(where, ", ")
}

// stateOf says what becomes of a directive, from the tables that the conversion goes by.
func stateOf(c *converter, name string) (state, how string) {
	if name == "include" { // read.go
		return "done", ""
	}
	for _, rules := range []map[string]rule{c.rules, c.ofGroup} {
		if r, ok := rules[name]; ok && (r.convert != nil || r.differs != "") {
			if r.differs != "" {
				return "different", r.differs
			}
			state = "done"
		}
	}
	for in, keys := range c.keys {
		for _, m := range masks(name) {
			if _, ok := keys[name]; ok && context(m)&in != 0 {
				state = "done"
			}
		}
	}
	switch {
	case state != "":
		return state, ""
	case effectless(name) != "":
		return "without effect", effectless(name)
	}
	how = refusals[name]
	if values := harmless[name]; len(values) > 0 {
		how = strings.TrimPrefix(how+"; accepted: `"+name+" "+strings.Join(values, "`, `")+"`", "; ")
	}
	return "refused", how
}

// TestDirectivesList fails when directives.txt is not what the parser knows.
func TestDirectivesList(t *testing.T) {
	text := strings.Join(allDirectives(t), "\n") + "\n"
	if *update {
		require.NoError(t, os.WriteFile("directives.txt", []byte(text), 0o644))
		return
	}
	require.Equal(t, text, directiveNames, "directives.txt is stale: run make docs")
}

// TestDirectivesTable fails when docs/nginx-directives.md is not what the tables say.
func TestDirectivesTable(t *testing.T) {
	if testing.Short() {
		t.Skip("some thousand conversions, whose outcome does not depend on how they are built")
	}
	var b strings.Builder
	b.WriteString(`<!-- SPDX-License-Identifier: Apache-2.0 -->
<!-- Generated from the tables in internal/convert by make docs. Change it there. -->

# nginx's directives in weir

What ` + "`weir-convert` and `weir -c nginx.conf`" + ` do with each directive of nginx's core, events and HTTP modules: [migrating-from-nginx.md](migrating-from-nginx.md) says how to
use them.

* **done**: converted; it means what nginx's documentation says.
* **different**: converted; the row says what differs, and where that depends on the arguments a note says it too.
* **without effect**: accepted, with a note; weir works the same without it.
* **refused**: not possible in this version: nothing is converted, or with ` + "`--lenient`" + ` it is left out.

Directives of ` + "`stream` and `mail`" + `, of nginx Plus (but those listed here) and of other modules are refused.

`)
	counts, c := map[string]int{}, newConverter(memory{}, "nginx.conf", Options{}, nil)
	var rows strings.Builder
	for _, name := range allDirectives(t) {
		state, how := stateOf(c, name)
		counts[state]++
		fmt.Fprintf(&rows, "| `%s` | %s | %s | %s |\n", name, whereOf(name), state, how)
	}
	fmt.Fprintf(&b, "%d done, %d different, %d without effect, %d refused.\n\n| directive | in | state | |\n|---|---|---|---|\n%s",
		counts["done"], counts["different"], counts["without effect"], counts["refused"], rows.String())
	if *update {
		require.NoError(t, os.WriteFile(tableFile, []byte(b.String()), 0o644))
		return
	}
	have, err := os.ReadFile(tableFile)
	require.NoError(t, err)
	require.Equal(t, b.String(), string(have), "%s is stale: run make docs", tableFile)
}

// The tables name directives of nginx only: a misspelt one would never be used.
func TestTablesNameDirectives(t *testing.T) {
	named := map[string]bool{}
	for _, name := range allDirectives(t) {
		named[name] = true
	}
	check := func(table string, name string) {
		if !named[name] && !ofModule(name) && !slices.Contains(recent, name) {
			t.Errorf("%s: %s is no directive of nginx", table, name)
		}
	}
	for name := range rules() {
		check("rules", name)
	}
	for name := range upstreamRules() {
		check("upstreamRules", name)
	}
	for name := range harmless {
		check("harmless", name)
	}
	for name := range inert {
		check("inert", name)
	}
	for name := range refusals {
		check("refusals", name)
	}
	for name := range handlers {
		check("handlers", name)
	}
	for name := range guards {
		check("guards", name)
	}
}

// The parser does not export its bits.
func TestContexts(t *testing.T) {
	for name, want := range map[string]context{
		"worker_processes": inMain, "worker_connections": inEvents, "log_format": inHTTP, "server_name": inServer, "proxy_pass": inLocation,
		"ip_hash": inUpstream, "client_header_timeout": inHTTP | inServer, "proxy_read_timeout": inHTTPBlocks,
	} {
		var got context
		for _, m := range masks(name) {
			got |= context(m) & anyContext
		}
		require.Equal(t, want, got, name)
	}
}
