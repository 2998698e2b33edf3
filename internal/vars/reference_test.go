// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package vars

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const referencePath = "../../docs/variables.md"

// updateReference is a test flag. Read-only.
var updateReference = flag.Bool("update", false, "write docs/variables.md anew")

func reference() string {
	var b strings.Builder
	b.WriteString(`# Variables

Log formats, header values, keys and URIs may name variables: ` + "`$name` or `${name}`" + `. The names and their meanings are
nginx's; their case does not matter. A literal ` + "`$`" + ` cannot be written (nor can it in nginx). An unknown name is a fault of the config.

A variable without a value gives nothing; in a log format with ` + "`escape = \"default\"`" + ` it gives ` + "`-`" + `.

This page is made from the catalogue in internal/vars: ` + "`go test ./internal/vars -run TestReference -update`" + `.

| variable | what it is |
|---|---|
`)
	for i := range catalogue {
		fmt.Fprintf(&b, "| `$%s` | %s |\n", catalogue[i].Name, catalogue[i].Doc)
	}
	b.WriteString(`
## Families

| variable | what it is |
|---|---|
`)
	for i := range families {
		fmt.Fprintf(&b, "| `$%sNAME` | %s |\n", families[i].Name, families[i].Doc)
	}
	b.WriteString("| `$binary_remote_addr_V4_V6` | client's address as a key for limits, of which V4 leading bits (0 to 32) are kept for IPv4, V6 (0 to 128) for IPv6, " +
		"and the rest is zero, such as `$binary_remote_addr_24_48`; `$binary_remote_addr_prefix` is `$binary_remote_addr_32_64` |\n")
	b.WriteString(`
## Captures

| variable | what it is |
|---|---|
` + "| `$1` ... `$9` | group of the regular expression (of `server_name` or `location`) that matched last; `$10` is `$1` and a `0` |\n" +
		"| `$NAME` | named group, `(?<NAME>...)`, of a `server_name` or `location` expression |\n")
	b.WriteString(`
## Escaping in logs

| ` + "`escape`" + ` | what happens to a value |
|---|---|
` + "| `default` | `\"`, `\\`, bytes below 32 and above 126 are written as `\\xXX` |\n" +
		"| `json` | `\"` and `\\` get a `\\` before them; bytes below 32 are written as `\\n`, `\\r`, `\\t`, `\\b`, `\\f` or `\\u00XX` |\n" +
		"| `none` | nothing |\n")
	return b.String()
}

func TestReferenceIsCurrent(t *testing.T) {
	if *updateReference {
		require.NoError(t, os.WriteFile(referencePath, []byte(reference()), 0o644))
	}
	got, err := os.ReadFile(referencePath)
	require.NoError(t, err)
	require.Equal(t, reference(), string(got), "docs/variables.md is stale: go test ./internal/vars -run TestReference -update")
}
