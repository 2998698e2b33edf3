// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package vars

import (
	"encoding/binary"
	"fmt"

	"weir/internal/invariant"
)

// Getter is how sources of type S give one variable.
type Getter[S any] struct {
	// Append appends the value, as Source.AppendVariable does; nil: the value is always Constant.
	Append   func(src S, dst []byte, arg string) ([]byte, bool)
	Constant string
}

// Bound is a Template for what is rendered with every request: its variables have been looked up, and those that are always the same
// are part of the text. It is immutable. Make it with Bind.
type Bound[S any] struct {
	parts []part[S]
	tail  literal
}

// part is an op whose variable has been looked up.
type part[S any] struct {
	op
	before literal // in the place of op.literal: with the constants in front of it
	get    func(src S, dst []byte, arg string) ([]byte, bool)
}

// literal is a text that is appended often. A short one is also a word, which one store writes.
type literal struct {
	text string
	word uint64
}

func newLiteral(text string) literal {
	l := literal{text: text}
	if len(text) <= 8 {
		var b [8]byte
		copy(b[:], text)
		l.word = binary.LittleEndian.Uint64(b[:])
	}
	return l
}

// append appends the text. The bytes behind it may be written over, as far as dst has room.
func (l *literal) append(dst []byte) []byte {
	if n := len(dst); len(l.text) <= 8 && cap(dst)-n >= 8 {
		binary.LittleEndian.PutUint64(dst[n:n+8], l.word)
		return dst[:n+len(l.text)]
	}
	return append(dst, l.text...)
}

// Bind looks up the variables of a template.
func Bind[S any](t *Template, lookup func(id ID, arg string) Getter[S]) *Bound[S] {
	b := &Bound[S]{}
	var text []byte
	for i := range t.ops {
		o := &t.ops[i]
		text = append(text, o.literal...)
		v := lookup(o.id, o.arg)
		if v.Append == nil {
			start := len(text)
			text = append(text, v.Constant...)
			if o.escape != EscapeNone {
				text = escape(text, start, o.escape)
			}
			continue
		}
		b.parts = append(b.parts, part[S]{op: *o, before: newLiteral(string(text)), get: v.Append})
		text = text[:0]
	}
	b.tail = newLiteral(string(append(text, t.tail...)))
	return b
}

// Constant returns the text and true if there is no variable in it.
func (b *Bound[S]) Constant() (string, bool) { return b.tail.text, len(b.parts) == 0 }

// Append renders the template at the end of dst and returns the extended slice, as Template.Append does.
func (b *Bound[S]) Append(dst []byte, src S) []byte {
	for i := range b.parts {
		p := &b.parts[i]
		dst = p.before.append(dst)
		start := len(dst)
		out, found := p.get(src, dst, p.arg)
		switch {
		case !found:
			if p.absent {
				dst = append(dst, '-')
			}
			continue
		case p.escape != EscapeNone:
			out = escape(out, start, p.escape)
		case invariant.Enabled && p.plain && needsDefault(out[start:]):
			panic(fmt.Sprintf("vars: $%s is marked as plain but is %q", p.id, out[start:]))
		}
		dst = out
	}
	return b.tail.append(dst)
}
