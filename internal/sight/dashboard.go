// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package sight

import (
	_ "embed"
	"strconv"
	"strings"
)

//go:embed dashboard.html
var page string // read-only

// Dashboard is the page that shows the numbers live. It asks for them at the path status, every second, and needs nothing else.
func Dashboard(status string) string {
	quoted := strings.ReplaceAll(strconv.QuoteToASCII(status), "<", `\x3c`)
	return strings.Replace(page, `"STATUS_PATH"`, quoted, 1)
}
