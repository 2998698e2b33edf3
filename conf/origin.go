// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Place is a line of a file of another configuration that a text was made from.
type Place struct {
	File      string // as faults name it; "" for none
	Line      int    // from 1; 0: the file as a whole
	Directive string // that stands there; "" for none
}

// CommandLine is the File of what was given on the command line.
const CommandLine = "command line"

// Fault is what is wrong at a place, in the form in which nginx says it.
func (at Place) Fault(level Level, text string) Fault {
	return Fault{File: at.File, Line: at.Line, Text: sentence(at.Directive, text), Level: level}
}

// relocate names the places that the lines of a text come from, where the text was made from another configuration.
func (src Source) relocate(faults Faults, level Level) {
	for i, f := range faults {
		if src.Lines == nil || f.File != src.Name {
			continue
		}
		at := Place{File: f.File, Directive: f.Key}
		if f.Line >= 1 && f.Line <= len(src.Lines) && src.Lines[f.Line-1].File != "" {
			at = src.Lines[f.Line-1]
		}
		faults[i] = at.Fault(level, f.Text)
	}
}

// sentence is a text about a directive as one that says so: many are what is said of a key of TOML, whose name stands before them.
func sentence(directive, text string) string {
	for _, w := range nginxWords() {
		if in := regexp.MustCompile(w.text); in.MatchString(text) {
			return in.ReplaceAllString(text, w.words)
		}
	}
	verb, _, _ := strings.Cut(text, " ")
	switch {
	case directive == "" || strings.Contains(text, `"`+directive+`"`):
		return text
	case slices.Contains([]string{"must", "needs", "cannot", "is", "has", "does", "goes"}, verb):
		return fmt.Sprintf("%q directive %s", directive, text)
	case verb == "not":
		return fmt.Sprintf("%q directive is %s", directive, text)
	}
	return text
}

// nginxWords are what nginx says where weir says something else: who looks for faults in what `nginx -t` writes goes by that.
func nginxWords() []struct{ text, words string } {
	return []struct{ text, words string }{
		{`^unknown variable "\$(\w+)"`, `unknown "$1" variable`},
		{`^no zone ("[^"]*")`, `zero size shared memory zone $1`},
		{`^a second default_server for `, `a duplicate default server for `},
		{`^duplicate listen "(.*)"$`, `a duplicate listen $1`},
		{`^the options for (\S+) are not those of .*: write them once$`, `duplicate listen options for $1`},
		{`^there is none, so there is nothing to listen on$`, `no "server" in configuration, so there is nothing to listen on`},
		{`^"\$" at byte \d+ is not followed by a variable's name.*$`, `invalid variable name`},
		{`^the closing brace of "\$\{(\w*).* is missing$`, `the closing bracket in "$1" variable is missing`},
		{`^regular expression (.*): (.*)$`, `pcre2_compile() failed: $2 in $1`},
	}
}

// nginxString is a fault as nginx says it, without what begins its lines.
func (f Fault) nginxString() string {
	switch {
	case f.File == "":
		return f.Text
	case f.Line == 0 || f.File == CommandLine:
		return f.Text + " in " + f.File
	}
	return fmt.Sprintf("%s in %s:%d", f.Text, f.File, f.Line)
}
