// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package wire

import (
	"fmt"

	"weir/conf"
)

// Kind is what became of a directive that is not simply converted.
type Kind uint8

// Kinds of notes.
const (
	Different     Kind = iota // converted; the text says what differs
	WithoutEffect             // accepted; weir works the same without it
	LeftOut                   // refused, and left out because that was asked for
	Refused                   // not possible: nothing was converted
)

// String is the kind as users read it.
func (k Kind) String() string {
	return [...]string{"different", "without effect", "left out", "refused"}[k]
}

// Note says what became of a directive.
type Note struct {
	Kind      Kind   `json:"kind"`
	File      string `json:"file"` // as conf.Fault
	Line      int    `json:"line"`
	Directive string `json:"directive"` // its name; "" when the text is not nginx's syntax
	Text      string `json:"text"`      // how, or why; may be ""
}

// Fault is the note in the form of the configuration's other faults.
func (n Note) Fault() conf.Fault {
	text := n.Text
	switch {
	case n.Directive == "":
	case n.Kind == Different:
		text = fmt.Sprintf("%s: %s: %s", n.Kind, n.Directive, n.Text)
	case text == "":
		text = fmt.Sprintf("%s: %s", n.Kind, n.Directive)
	default:
		text = fmt.Sprintf("%s: %s (%s)", n.Kind, n.Directive, n.Text)
	}
	return conf.Fault{File: n.File, Line: n.Line, Text: text}
}

// String is the note on a line of its own: "nginx.conf:12: refused: sendfle (unknown directive; did you mean "sendfile"?)".
func (n Note) String() string { return n.Fault().String() }

// Result is a converted configuration.
type Result struct {
	Text  []byte // TOML
	Lines Places // where each line of Text comes from
	Notes []Note // in the order they were found
}

// Refused says whether something could not be converted; then Text is not to be used.
func (r *Result) Refused() bool {
	for _, n := range r.Notes {
		if n.Kind == Refused {
			return true
		}
	}
	return false
}

// Faults are the notes of the given kinds.
func (r *Result) Faults(kinds ...Kind) conf.Faults {
	var faults conf.Faults
	for _, n := range r.Notes {
		for _, kind := range kinds {
			if n.Kind == kind {
				faults = append(faults, n.Fault())
			}
		}
	}
	return faults
}

// Source is the configuration for conf.Load. Its notes are those of the given kinds.
func (r *Result) Source(name string, kinds ...Kind) conf.Source {
	return conf.Source{Name: name, Text: r.Text, Lines: r.Lines.list(), Notes: r.Faults(kinds...)}
}

// Places are the places of lines, with each file's name once.
type Places struct {
	Files []string `json:"files"`
	Lines []int32  `json:"lines"` // for each line an index in Files, or -1, and a line there
}

// Add adds the place of one more line.
func (p *Places) Add(file string, line int) {
	if file == "" {
		p.Lines = append(p.Lines, -1, 0)
		return
	}
	at := len(p.Files) - 1
	for at >= 0 && p.Files[at] != file {
		at--
	}
	if at < 0 {
		at = len(p.Files)
		p.Files = append(p.Files, file)
	}
	p.Lines = append(p.Lines, int32(at), int32(line))
}

// list is the places one by one. What makes no sense is no place.
func (p *Places) list() []conf.Place {
	list := make([]conf.Place, len(p.Lines)/2)
	for i := range list {
		if file := p.Lines[2*i]; file >= 0 && int(file) < len(p.Files) {
			list[i] = conf.Place{File: p.Files[file], Line: int(p.Lines[2*i+1])}
		}
	}
	return list
}
