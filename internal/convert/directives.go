// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package convert

import (
	_ "embed" // for directiveNames
	"fmt"
	"slices"
	"strings"

	crossplane "github.com/nginxinc/nginx-go-crossplane"

	"weir/internal/vars"
)

// directiveNames are the names of all directives of nginx's core, events and HTTP modules, in order, one a line. A test writes and checks the
// file: the parser's tables answer for one name at a time only.
//
//go:embed directives.txt
var directiveNames string

// context is a block that directives stand in: a bit of the parser's masks.
type context uint

// Contexts. The values are the parser's, which does not export them; TestContexts holds them to it.
const (
	inMain     context = 0x00040000
	inEvents   context = 0x00080000
	inHTTP     context = 0x02000000
	inServer   context = 0x04000000
	inLocation context = 0x08000000
	inUpstream context = 0x10000000

	inServerIf    context = 0x020000000
	inLocationIf  context = 0x040000000
	inLimitExcept context = 0x080000000

	inHTTPBlocks = inHTTP | inServer | inLocation
	anyContext   = inMain | inEvents | inHTTPBlocks | inUpstream
)

// String is the name of the block.
func (c context) String() string {
	switch c {
	case inMain:
		return "the main block"
	case inEvents:
		return "events"
	case inHTTP:
		return "http"
	case inServer:
		return "a server"
	case inLocation:
		return "a location"
	case inUpstream:
		return "an upstream"
	case inServerIf:
		return "an if of a server"
	case inLocationIf:
		return "an if of a location"
	case inLimitExcept:
		return "limit_except"
	}
	return fmt.Sprintf("context(%#x)", uint(c))
}

// Bits of the parser's masks that say what arguments a directive takes: 1<<n for n of them, and these.
const (
	takesBlock    = 0x0100
	takesFlag     = 0x0400
	takesAny      = 0x0800
	takes1OrMore  = 0x1000
	takes2OrMore  = 0x2000
	maxTakesExact = 7
)

// masks are what the parser knows about a directive of nginx, of this version or an older one; none for names that are not nginx's.
func masks(name string) []uint {
	for _, match := range []crossplane.MatchFunc{crossplane.MatchOssLatest, crossplane.MatchOss126, crossplane.MatchOss124} {
		if m, ok := match(name); ok {
			return m
		}
	}
	if slices.Contains(commercial, name) {
		m, _ := crossplane.MatchNginxPlusLatest(name)
		return m
	}
	return nil
}

// commercial are the directives of nginx's commercial version that weir has.
var commercial = []string{"queue", "health_check", "match", "proxy_bind_dynamic", "proxy_request_dynamic"} // read-only

// ofModule says whether a directive belongs to a module that is no part of nginx, or to nginx Plus.
func ofModule(name string) bool {
	for _, match := range []crossplane.MatchFunc{
		crossplane.MatchNginxPlusLatest, crossplane.MatchLuaLatest, crossplane.MatchHeadersMoreLatest, crossplane.MatchNjsLatest,
		crossplane.MatchOtelLatest, crossplane.MatchGeoip2Latest, crossplane.MatchAppProtectWAFv5,
	} {
		if _, ok := match(name); ok {
			return true
		}
	}
	return false
}

// misuse says what is wrong with where a directive stands and how many arguments it has, in nginx's words; "" when nothing is.
func (d *directive) misuse(in context) string {
	what := fmt.Sprintf("%q directive is not allowed here", d.name)
	for _, mask := range masks(d.name) {
		if context(mask)&in == 0 {
			continue
		}
		n := len(d.args)
		switch block := mask&takesBlock != 0; {
		case block && !d.isBlock:
			what = fmt.Sprintf(`directive %q has no opening "{"`, d.name)
		case !block && d.isBlock:
			what = fmt.Sprintf(`directive %q is not terminated by ";"`, d.name)
		case mask&takesFlag != 0 && n == 1:
			if flag := strings.ToLower(d.args[0]); flag == "on" || flag == "off" {
				return ""
			}
			what = fmt.Sprintf(`invalid value %q in %q directive, it must be "on" or "off"`, d.args[0], d.name)
		case n <= maxTakesExact && mask>>n&1 != 0, mask&takesAny != 0, mask&takes1OrMore != 0 && n >= 1, mask&takes2OrMore != 0 && n >= 2:
			return ""
		default:
			what = invalidNumber(d)
		}
	}
	return what
}

// invalidNumber says that a directive has too few arguments, or too many.
func invalidNumber(d *directive) string {
	return fmt.Sprintf("invalid number of arguments in %q directive", d.name)
}

// why says why a directive is refused that weir has nothing for. To suggest another takes time.
func why(name string, suggest bool) string {
	if len(masks(name)) > 0 {
		return "not possible in this version"
	}
	if ofModule(name) {
		return fmt.Sprintf("unknown directive %q: it is of nginx Plus or of a module outside of nginx, and weir has nothing for it", name)
	}
	best, bestDistance := "", min(len(name)/3+1, 4)
	names := directiveNames
	if !suggest {
		names = ""
	}
	for known := range strings.Lines(names) {
		known = strings.TrimSpace(known)
		if n := vars.EditDistance(strings.ToLower(name), known); n <= bestDistance && (best == "" || n < bestDistance) {
			best, bestDistance = known, n
		}
	}
	if best == "" {
		return fmt.Sprintf("unknown directive %q", name)
	}
	return fmt.Sprintf("unknown directive %q; did you mean %q?", name, best)
}
