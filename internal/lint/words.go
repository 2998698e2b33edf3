// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package lint

import "regexp"

// bannedWords are what no file may hold. Each is written in two pieces, so that this file does not hold it. Read-only.
var bannedWords = []struct {
	pattern *regexp.Regexp
	why     string
}{
	{regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|HA` + `CK)\b`), "finish it, or open an issue"},
	{regexp.MustCompile(`/ro` + `ot/|/ho` + `me/|/Us` + `ers/|/wo` + `rk/(main|shared)`), "a path of one machine"},
	{regexp.MustCompile(`/tmp/(br` + `ief|ba` + `sh_jobs)`), "a path of one machine"},
	{regexp.MustCompile(`\b(GOPR` + `OXY|GONO` + `SUMDB)\s*=`), "the module proxy is the user's choice"},
	{regexp.MustCompile(`(?i)\b(chatg` + `pt|cla` + `ude|anthr` + `opic|copi` + `lot)\b`), "say what the code does, not who or what wrote it"},
	{regexp.MustCompile(`(?i)\b(lang` + `uage model|gener` + `ated by (an? )?(ai|assist` + `ant)|ai[- ]gener` + `ated)\b`), "say what the code does, not who or what wrote it"},
}
