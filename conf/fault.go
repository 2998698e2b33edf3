// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"weir/internal/vars"
)

// Fault is one thing wrong with a configuration, or, as a warning, one thing in it that has no effect.
type Fault struct {
	File string // as Source.Name; "-g" for Source.Overrides; "" when no file is to blame
	Line int    // from 1; 0: unknown
	Key  string // path of the key, "http.server[0].location[1].proxy_pass"; "" when the text is not TOML
	Text string // what is wrong

	// For a configuration that weir's was made from, such as an nginx.conf: how severe nginx would call it. Then it reads as nginx's, and has no Key.
	Level Level
}

// String is the fault as users see it: "weir.toml:12: http.server[0].listen: what is wrong", or "what is wrong in nginx.conf:12".
func (f Fault) String() string {
	if f.Level != 0 {
		return f.nginxString()
	}
	var b strings.Builder
	if f.File != "" {
		b.WriteString(f.File)
		if f.Line > 0 {
			b.WriteByte(':')
			b.WriteString(strconv.Itoa(f.Line))
		}
		b.WriteString(": ")
	}
	if f.Key != "" {
		b.WriteString(f.Key)
		b.WriteString(": ")
	}
	b.WriteString(f.Text)
	return b.String()
}

// Faults are all faults of a configuration in the order of its text. As an error they read one per line.
type Faults []Fault

// Error is every fault on a line of its own.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// sort puts faults in the order of the text: the file's before those of -g, by line.
func (fs Faults) sort() {
	slices.SortStableFunc(fs, func(a, b Fault) int {
		if a.File != b.File {
			if a.File == overridesName {
				return 1
			}
			if b.File == overridesName {
				return -1
			}
		}
		return a.Line - b.Line
	})
}

// path is the way to a value in the tree of tables and arrays, from its end; nil is the whole configuration.
type path struct {
	parent *path
	name   string // key in a table, when index < 0
	index  int    // position in an array
	node   *node  // what is there, once it has been located: most questions about a tree are asked in a few places of it
}

func (p *path) key(name string) *path { return &path{parent: p, name: name, index: -1} }
func (p *path) at(index int) *path    { return &path{parent: p, index: index} }

// String is the path as users write it: keys joined by dots, positions in brackets.
func (p *path) String() string {
	if p == nil {
		return ""
	}
	if p.index >= 0 {
		return p.parent.String() + "[" + strconv.Itoa(p.index) + "]"
	}
	if p.parent == nil {
		return FormatKey(p.name)
	}
	return p.parent.String() + "." + FormatKey(p.name)
}

// collector gathers faults and warnings.
type collector struct {
	root     *node
	faults   Faults
	warnings Faults
	bad      map[string]bool // paths of the values that could not be decoded: nothing more is said about them
}

// fault records a fault of the value n at p.
func (c *collector) fault(n *node, p *path, format string, args ...any) {
	c.faults = append(c.faults, Fault{File: n.file, Line: n.line, Key: p.String(), Text: fmt.Sprintf(format, args...)})
}

// spoil marks the value at p as one that could not be decoded.
func (c *collector) spoil(p *path) {
	if c.bad == nil {
		c.bad = map[string]bool{}
	}
	c.bad[p.String()] = true
}

// spoilt says whether the value at p, or one around it, could not be decoded.
func (c *collector) spoilt(p *path) bool {
	for at := p; at != nil && len(c.bad) > 0; at = at.parent {
		if c.bad[at.String()] {
			return true
		}
	}
	return false
}

// faultAt records a fault of what is at p, or would be there: it blames the nearest enclosing value that is written.
func (c *collector) faultAt(p *path, format string, args ...any) {
	if c.spoilt(p) {
		return
	}
	n, _ := c.root.locate(p)
	c.fault(n, p, format, args...)
}

// warnAt is faultAt for a warning.
func (c *collector) warnAt(p *path, format string, args ...any) {
	n, _ := c.root.locate(p)
	c.warnings = append(c.warnings, Fault{File: n.file, Line: n.line, Key: p.String(), Text: fmt.Sprintf(format, args...)})
}

// suggest is ` (did you mean "x"?)` for the name among names that is closest to the one given, or "" when none is close.
func suggest(given string, names []string) string {
	best, bestDistance := "", len(given)/3+1
	if bestDistance > 4 {
		bestDistance = 4
	}
	for _, name := range names {
		if d := vars.EditDistance(strings.ToLower(given), name); d <= bestDistance && (best == "" || d < bestDistance) {
			best, bestDistance = name, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", best)
}
