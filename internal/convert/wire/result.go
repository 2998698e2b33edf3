// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package wire

import (
	"encoding/binary"
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
	Packed []byte `json:"packed"` // conf.Value.Pack
	Lines  Places `json:"lines"`  // where each line of Packed comes from
	Daemon bool   `json:"daemon"` // what it says of daemon, for who has not loaded it yet
	Notes  []Note `json:"notes"`  // in the order they were found
}

// Refused says whether something could not be converted; then Packed is not to be used.
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
	return conf.Source{Name: name, Packed: r.Packed, Lines: r.Lines.list(), Notes: r.Faults(kinds...)}
}

// Places are the places of lines, with each file's name once.
type Places struct {
	Files []string `json:"files"`
	// Lines has for each line an index in Files and 1, or 0 for no place; and how far behind the line is that was named before: varints.
	Lines []byte `json:"lines"`

	last int // the line that was named last
}

// Add adds the place of one more line.
func (p *Places) Add(file string, line int) {
	if file == "" {
		p.Lines = binary.AppendUvarint(p.Lines, 0)
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
	p.Lines = binary.AppendVarint(binary.AppendUvarint(p.Lines, uint64(at+1)), int64(line-p.last))
	p.last = line
}

// list is the places one by one. What makes no sense is no place.
func (p *Places) list() []conf.Place {
	var list []conf.Place
	line := 0
	for b := p.Lines; len(b) > 0; {
		at, n := binary.Uvarint(b)
		if n <= 0 {
			break
		}
		b = b[n:]
		if at == 0 {
			list = append(list, conf.Place{})
			continue
		}
		more, n := binary.Varint(b)
		if n <= 0 {
			break
		}
		b = b[n:]
		place := conf.Place{}
		if line += int(more); at <= uint64(len(p.Files)) && line > 0 {
			place = conf.Place{File: p.Files[at-1], Line: line}
		}
		list = append(list, place)
	}
	return list
}
