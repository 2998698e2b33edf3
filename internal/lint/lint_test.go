// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package lint

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"weir/conf"
)

//go:embed layers.txt
var layersText string

//go:embed exceptions.txt
var exceptionsText string

// TestRepository holds the tree this package stands in to every rule.
func TestRepository(t *testing.T) {
	repository, err := loadTree(os.DirFS("../.."))
	require.NoError(t, err)
	require.Greater(t, len(repository.files), 10, "the walk did not find the tree")
	order, err := parsePolicy(layersText)
	require.NoError(t, err)
	longer, err := parseExceptions(exceptionsText)
	require.NoError(t, err)

	rules := []struct {
		name  string
		found []finding
	}{
		{"imports", checkImports(repository, order)},
		{"policy is current", checkPolicyIsCurrent(repository, order)},
		{"statements", checkStatements(repository, order)},
		{"variables", checkVariables(repository)},
		{"lengths", checkLengths(repository, longer)},
		{"licence", checkLicence(repository)},
		{"package documents", checkPackageDocs(repository)},
		{"exported documents", checkExportedDocs(repository)},
		{"words", checkWords(repository)},
		{"invariants", checkInvariants(repository)},
		{"references", checkReferences(repository)},
	}
	for _, rule := range rules {
		t.Run(rule.name, func(t *testing.T) {
			for _, line := range sorted(rule.found) {
				t.Error(line)
			}
		})
	}
}

// TestReadmeConfigs loads the configs that README.md shows, each after the one before it, as weir would.
func TestReadmeConfigs(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	var text strings.Builder
	for _, block := range strings.Split(string(readme), "```toml\n")[1:] {
		body, _, found := strings.Cut(block, "```")
		require.True(t, found)
		text.WriteString(body)
	}
	require.NotEmpty(t, text.String())
	_, warnings, err := conf.Load(conf.Source{Name: "README.md", Text: []byte(text.String())})
	require.NoError(t, err)
	require.Empty(t, warnings)
}

// TestDocumentConfigs loads the configs that docs/ shows, each by itself. One that does not begin with a table is what may stand in a
// location. Zones and groups that a config names and does not have, since the text around it has them, are added.
func TestDocumentConfigs(t *testing.T) {
	documents, err := filepath.Glob("../../docs/*.md")
	require.NoError(t, err)
	checked := 0
	for _, document := range documents {
		text, err := os.ReadFile(document)
		require.NoError(t, err)
		for i, block := range strings.Split(string(text), "```toml\n")[1:] {
			body, _, found := strings.Cut(block, "```")
			require.True(t, found)
			name := fmt.Sprintf("%s, config %d", filepath.Base(document), i+1)
			_, warnings, err := conf.Load(conf.Source{Name: name, Text: []byte(completed(body))})
			require.NoError(t, err, name)
			require.Empty(t, warnings, name)
			checked++
		}
	}
	require.Greater(t, checked, 5)
}

// completed is a config, with what it takes for granted.
func completed(body string) string {
	if !strings.Contains(body, "[http") {
		body = "[[http.server]]\n[[http.server.location]]\npath = \"/\"\nproxy_pass = \"http://127.0.0.1:9000\"\n" + body
	}
	for _, of := range []struct{ named, table, body string }{
		{`(?s)limit_conn *= \[.*?\]`, "limit_conn_zone", "key = \"$binary_remote_addr_prefix\"\nsize = \"1m\""},
		{`(?s)limit_req *= \[.*?\]`, "limit_req_zone", "key = \"$binary_remote_addr_prefix\"\nsize = \"1m\"\nrate = \"10r/s\""},
		{`proxy_pass *= "http://[a-z]+"`, "upstream", "server = [\"127.0.0.1:9000\"]"},
	} {
		for _, list := range regexp.MustCompile(of.named).FindAllString(body, -1) {
			for _, m := range regexp.MustCompile(`zone = "(\w+)"|http://(\w+)`).FindAllStringSubmatch(list, -1) {
				if table := fmt.Sprintf("[http.%s.%s]\n", of.table, m[1]+m[2]); !strings.Contains(body, table[:len(table)-1]) {
					body += table + of.body + "\n"
				}
			}
		}
	}
	return body
}

func sorted(found []finding) []string {
	var lines []string
	for _, f := range found {
		lines = append(lines, f.String())
	}
	slices.SortFunc(lines, strings.Compare)
	return lines
}
