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

// Fault is the note in the form of nginx's faults.
func (n Note) Fault() conf.Fault {
	at := conf.Place{File: n.File, Line: n.Line}
	switch n.Kind {
	case Different, LeftOut:
		return at.Fault(conf.LevelWarn, n.about())
	case WithoutEffect:
		return at.Fault(conf.LevelNotice, n.about())
	}
	at.Directive = n.Directive
	return at.Fault(conf.LevelEmerg, n.Text)
}

// String is the note on a line of its own, for who converts: "nginx.conf:12: refused: sendfle (unknown directive; did you mean "sendfile"?)".
func (n Note) String() string {
	return conf.Fault{File: n.File, Line: n.Line, Text: n.about()}.String()
}

// about is the text of the note with what became of the directive.
func (n Note) about() string {
	switch {
	case n.Directive == "":
		return n.Text
	case n.Kind == Different:
		return fmt.Sprintf("%s: %s: %s", n.Kind, n.Directive, n.Text)
	case n.Text == "":
		return fmt.Sprintf("%s: %s", n.Kind, n.Directive)
	}
	return fmt.Sprintf("%s: %s (%s)", n.Kind, n.Directive, n.Text)
}

// Result is a converted configuration.
type Result struct {
	Packed []byte `json:"packed"` // conf.Value.Pack
	Lines  Places `json:"lines"`  // where each line of Packed comes from
	Daemon bool   `json:"daemon"` // the value of daemon, which is asked for before the configuration is loaded
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

// Places are the places of lines, with each name once.
type Places struct {
	Names []string `json:"names"` // of files and directives
	// Lines has for each line 0 for no place, or an index in Names of the file and 1; that of the directive and 1; and how far behind the line is that
	// was named before: varints.
	Lines []byte `json:"lines"`

	index map[string]int // of Names
	last  int            // the line that was named last
}

// Add adds the place of one more line.
func (p *Places) Add(at conf.Place) {
	if at.File == "" {
		p.Lines = binary.AppendUvarint(p.Lines, 0)
		return
	}
	p.Lines = binary.AppendUvarint(p.Lines, p.name(at.File))
	p.Lines = binary.AppendUvarint(p.Lines, p.name(at.Directive))
	p.Lines = binary.AppendVarint(p.Lines, int64(at.Line-p.last))
	p.last = at.Line
}

// name is the index of a name and 1.
func (p *Places) name(name string) uint64 {
	i, ok := p.index[name]
	if !ok {
		if p.index == nil {
			p.index = map[string]int{}
		}
		p.Names = append(p.Names, name)
		i = len(p.Names)
		p.index[name] = i
	}
	return uint64(i)
}

// list is the places one by one. What makes no sense is no place.
func (p *Places) list() []conf.Place {
	list := []conf.Place{}
	line := 0
	for b := p.Lines; len(b) > 0; {
		file, n := binary.Uvarint(b)
		if n <= 0 {
			break
		}
		if b = b[n:]; file == 0 {
			list = append(list, conf.Place{})
			continue
		}
		directive, n := binary.Uvarint(b)
		if n <= 0 {
			break
		}
		b = b[n:]
		more, n := binary.Varint(b)
		if n <= 0 {
			break
		}
		b = b[n:]
		place := conf.Place{}
		if line += int(more); p.has(file) && p.has(directive) && line > 0 {
			place = conf.Place{File: p.Names[file-1], Line: line, Directive: p.Names[directive-1]}
		}
		list = append(list, place)
	}
	return list
}

func (p *Places) has(index uint64) bool { return index >= 1 && index <= uint64(len(p.Names)) }
