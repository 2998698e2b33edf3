// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import "fmt"

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
