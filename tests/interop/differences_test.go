// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package interop

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the list of differences in docs/migrating-from-nginx.md anew")

//go:generate go test -run TestDifferences -update .

// Where the list stands.
const (
	migrating   = "../../docs/migrating-from-nginx.md"
	listBegins  = "<!-- differences: begin -->\n"
	listEnds    = "<!-- differences: end -->\n"
	listHeading = "| difference | seen in |\n| --- | --- |\n"
)

// TestDifferences fails when docs/migrating-from-nginx.md does not list every difference that the cases know. `make docs` writes the list.
func TestDifferences(t *testing.T) {
	seen := map[string][]string{}
	for _, c := range readCases(t) {
		for _, d := range c.differences {
			if in := c.theme + "/" + c.name; !slices.Contains(seen[d.reason], in) {
				seen[d.reason] = append(seen[d.reason], in)
			}
		}
	}
	var lines []string
	for reason, in := range seen {
		lines = append(lines, fmt.Sprintf("| %s | %s |\n", reason, strings.Join(in, ", ")))
	}
	slices.Sort(lines)
	text, err := os.ReadFile(migrating)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), listBegins)
	_, after, ends := strings.Cut(rest, listEnds)
	if !ok || !ends {
		t.Fatalf("%s has no place for the list", migrating)
	}
	want := before + listBegins + listHeading + strings.Join(lines, "") + listEnds + after
	switch {
	case want == string(text):
	case !*update:
		t.Errorf("%s is stale: run make docs", migrating)
	default:
		if err := os.WriteFile(migrating, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
