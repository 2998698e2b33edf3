// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package vars

import (
	"fmt"
	"slices"

	"weir/internal/invariant"
)

// Source renders variables: the request, in a worker.
type Source interface {
	// AppendVariable appends the value of id to dst and returns the result and true, or anything
	// and false if the variable has no value ("not found" in nginx's terms; an empty value is a
	// value). arg is "" except for BinaryRemoteAddrPrefix and the families. Bytes of dst before its length
	// are left alone; no reference to dst is kept.
	AppendVariable(dst []byte, id ID, arg string) ([]byte, bool)
}

// op appends a literal, then a variable.
type op struct {
	literal string
	arg     string
	id      ID
	escape  Escape // EscapeNone also where plain
	plain   bool   // the variable cannot need escaping
	absent  bool   // "-" if the variable has no value
}

// Template is a compiled text with variables. It is immutable; the zero Template renders "".
type Template struct {
	ops  []op
	tail string // the literal after the last variable
	text string
}

// Append renders the template at the end of dst and returns the extended slice. It allocates only
// where dst has no room.
func (t *Template) Append(dst []byte, src Source) []byte {
	for i := range t.ops {
		o := &t.ops[i]
		if o.literal != "" {
			dst = append(dst, o.literal...)
		}
		start := len(dst)
		out, found := src.AppendVariable(dst, o.id, o.arg)
		if !found {
			if o.absent {
				dst = append(dst, '-')
			}
			continue
		}
		if o.escape != EscapeNone {
			out = escape(out, start, o.escape)
		} else if invariant.Enabled && o.plain && needsDefault(out[start:]) {
			panic(fmt.Sprintf("vars: $%s is marked as plain but is %q", o.id, out[start:]))
		}
		dst = out
	}
	return append(dst, t.tail...)
}

// escape makes what follows dst[:start] safe.
func escape(dst []byte, start int, how Escape) []byte {
	if how == EscapeDefault {
		if needsDefault(dst[start:]) {
			return escapeDefault(dst, start)
		}
		return dst
	}
	if needsJSON(dst[start:]) {
		return escapeJSON(dst, start)
	}
	return dst
}

// Literal is a template that renders text as it is, whatever stands in it.
func Literal(text string) *Template { return &Template{tail: text, text: text} }

// Constant returns the text and true if the template names no variable.
func (t *Template) Constant() (string, bool) {
	return t.tail, len(t.ops) == 0
}

// Beyond returns the name of the first variable in the template that is not one of ids, as the template spells it but without "$", and
// true; or false when there is none.
func (t *Template) Beyond(ids ...ID) (name string, ok bool) {
	at := 0
	for i := range t.ops {
		o := &t.ops[i]
		at += len(o.literal)
		name, end, err := scanName(t.text, at)
		if err != nil {
			panic(fmt.Sprintf("vars: the compiled template %q: %v", t.text, err))
		}
		if !slices.Contains(ids, o.id) {
			return name, true
		}
		at = end
	}
	return "", false
}

// String returns the text that was compiled.
func (t *Template) String() string { return t.text }
