// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package lint

import (
	_ "embed"
	"os"
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
		{"named tests", checkNamedTests(repository)},
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

func sorted(found []finding) []string {
	var lines []string
	for _, f := range found {
		lines = append(lines, f.String())
	}
	slices.SortFunc(lines, strings.Compare)
	return lines
}
