// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package lookup

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Browsers tells modern browsers from ancient ones by the field User-Agent: nginx's modern_browser and ancient_browser. Immutable.
type Browsers struct {
	modern    []modernBrowser // in the order of browserKinds
	unlisted  bool            // what is not listed is modern
	ancient   [][]byte
	netscape4 bool
}

type modernBrowser struct {
	kind    int
	version int64
}

// browserKinds are the browsers whose versions are known: where a field is looked at from, for which text, and how far behind its start the version is. Opera is
// first because it says that it is others.
var browserKinds = []struct {
	name       string
	from, skip int
	text       string
}{
	{"opera", 0, len("Opera "), "Opera"},
	{"msie", len("Mozilla/4.0 (compatible; "), len("MSIE "), "MSIE "},
	{"gecko", len("Mozilla/5.0 ("), len("rv:"), "rv:"},
	{"safari", len("Mozilla/5.0 ("), len("Safari/"), "Safari/"},
	{"konqueror", len("Mozilla/5.0 (compatible; "), len("Konqueror/"), "Konqueror/"},
}

// versionScale is what the first number of a version counts; each further one counts a hundredth of the one before.
const versionScale = 1_000_000

// NewBrowsers reads "BROWSER VERSION" or "unlisted" of modern_browser, and the texts of ancient_browser, of which "netscape4" is special.
func NewBrowsers(modern, ancient []string) (*Browsers, error) {
	b := &Browsers{}
	var faults []error
	for _, text := range modern {
		if text == "unlisted" {
			b.unlisted = true
			continue
		}
		m, err := parseModern(text)
		if err != nil {
			faults = append(faults, err)
		}
		b.modern = append(b.modern, m)
	}
	slices.SortStableFunc(b.modern, func(a, c modernBrowser) int { return a.kind - c.kind })
	for _, text := range ancient {
		switch text {
		case "":
			faults = append(faults, errors.New("an ancient browser needs a text"))
		case "netscape4":
			b.netscape4 = true
		default:
			b.ancient = append(b.ancient, []byte(text))
		}
	}
	return b, errors.Join(faults...)
}

func parseModern(text string) (m modernBrowser, err error) {
	name, version, _ := strings.Cut(text, " ")
	for m.kind = range browserKinds {
		if browserKinds[m.kind].name == name {
			break
		}
	}
	if browserKinds[m.kind].name != name {
		return m, fmt.Errorf("unknown browser name %q", name)
	}
	parts := strings.Split(version, ".")
	scale, most := int64(versionScale), uint64(4000)
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, 16)
		if err != nil || n > most || i > 3 {
			return m, fmt.Errorf("invalid browser version %q", version)
		}
		m.version += int64(n) * scale
		scale, most = scale/100, 99
	}
	return m, nil
}

// Modern says whether a browser is modern; agent is nil when it does not say what it is.
func (b *Browsers) Modern(agent []byte) bool {
	if agent == nil {
		return b.unlisted
	}
	for _, m := range b.modern {
		kind := &browserKinds[m.kind]
		if kind.from >= len(agent) {
			continue
		}
		at := bytes.Index(agent[kind.from:], []byte(kind.text))
		if at < 0 || kind.from+at+kind.skip >= len(agent) {
			continue
		}
		return m.reached(agent[kind.from+at+kind.skip:])
	}
	if b.netscape4 && isNetscape4(agent) {
		return false
	}
	for _, text := range b.ancient {
		if bytes.Contains(agent, text) {
			return false
		}
	}
	return b.unlisted
}

// reached says whether the version that a text begins with is at least that of m.
func (m modernBrowser) reached(text []byte) bool {
	version, part, scale := int64(0), int64(0), int64(versionScale)
	for _, c := range text {
		switch {
		case '0' <= c && c <= '9':
			if part < versionScale {
				part = part*10 + int64(c-'0')
			}
		case c == '.':
			if version += part * scale; version >= m.version {
				return true
			}
			part, scale = 0, scale/100
		default:
			return version+part*scale >= m.version
		}
	}
	return version+part*scale >= m.version
}

// isNetscape4 says whether a field begins with "Mozilla/1" to "Mozilla/4".
func isNetscape4(agent []byte) bool {
	rest, ok := bytes.CutPrefix(agent, []byte("Mozilla/"))
	return ok && len(rest) > len("4 ")-1 && '1' <= rest[0] && rest[0] <= '4'
}

// IsMSIE6 says whether a browser is MSIE 4 to 6, but for its version 6 with Service Pack 2 ("SV1"): what nginx calls msie6.
func IsMSIE6(agent []byte) bool {
	if !IsMSIE(agent) {
		return false
	}
	version := agent[bytes.Index(agent, []byte("MSIE "))+len("MSIE "):]
	return version[1] == '.' && (version[0] == '4' || version[0] == '5' || version[0] == '6' && !bytes.Contains(version, []byte("SV1")))
}

// IsMSIE says whether a browser is any version of MSIE.
func IsMSIE(agent []byte) bool {
	i := bytes.Index(agent, []byte("MSIE "))
	return i >= 0 && i+len("MSIE 6.") < len(agent) && !bytes.Contains(agent, []byte("Opera"))
}

// IsMacSafari says whether a browser is Safari, or one that says no more than that, on a Mac.
func IsMacSafari(agent []byte) bool {
	return isOther(agent) && !isChrome(agent) && bytes.Contains(agent, []byte("Safari/")) && bytes.Contains(agent, []byte("Mac OS X"))
}

// WantsPadding says whether a browser shows pages of its own in the place of short error pages: MSIE and Chrome.
func WantsPadding(agent []byte) bool { return IsMSIE(agent) || isOther(agent) && isChrome(agent) }

// isOther says whether a browser is none of those that nginx looks for first.
func isOther(agent []byte) bool {
	for _, first := range []string{"MSIE ", "Opera", "Gecko/"} {
		if bytes.Contains(agent, []byte(first)) {
			return false
		}
	}
	return true
}

func isChrome(agent []byte) bool { return bytes.Contains(agent, []byte("Chrome/")) }
