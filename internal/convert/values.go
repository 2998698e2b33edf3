// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package convert

import (
	"weir/conf"
	"weir/internal/convert/wire"
)

// values is a configuration as values, with where each comes from.
type values struct {
	by []*directive // of conf.Value.Line, from 1
}

// line is the line of a directive: its position in by.
func (v *values) line(by *directive) int {
	if by == nil {
		return 0
	}
	if n := len(v.by); n == 0 || v.by[n-1] != by {
		v.by = append(v.by, by)
	}
	return len(v.by)
}

// places are the places of all lines.
func (v *values) places() wire.Places {
	var p wire.Places
	for _, by := range v.by {
		p.Add(conf.Place{File: by.file, Line: by.line, Directive: by.name})
	}
	return p
}

// block is a table with the tables in it.
func (v *values) block(b *block) conf.Value {
	line := v.line(b.by)
	fields := make([]conf.Field, 0, len(b.entries))
	for _, e := range b.entries {
		fields = append(fields, conf.Field{Key: e.key, Value: v.entry(e)})
	}
	at := map[string]int{} // in fields, of the keys that the inner tables have
	for _, inner := range b.blocks {
		i, ok := at[inner.key]
		if !ok {
			i = len(fields)
			at[inner.key] = i
			fields = append(fields, conf.Field{Key: inner.key})
		}
		around := &fields[i].Value
		table := v.block(inner)
		if !ok {
			around.Line = table.Line
		}
		switch inner.kind {
		case single:
			*around = table
		case named:
			all, _ := around.Of.([]conf.Field)
			around.Of = append(all, conf.Field{Key: inner.name, Value: table})
		case listed:
			all, _ := around.Of.([]conf.Value)
			around.Of = append(all, table)
		}
	}
	return conf.Value{Of: fields, Line: line}
}

// entry is the value of a key.
func (v *values) entry(e *entry) conf.Value {
	line := v.line(e.items[0].by)
	switch {
	case e.shape == scalar:
		return v.value(e.items[0].value, line)
	case e.shape == names && e.distinct():
		fields := make([]conf.Field, len(e.items))
		for i, it := range e.items {
			fields[i] = conf.Field{Key: it.name, Value: v.value(it.byName(), v.line(it.by))}
		}
		return conf.Value{Of: fields, Line: line}
	}
	elems := make([]conf.Value, len(e.items))
	for i, it := range e.items {
		elems[i] = v.value(e.element(it), v.line(it.by))
	}
	return conf.Value{Of: elems, Line: line}
}

// value is a value with the line of what it is in, unless it is placed.
func (v *values) value(of any, line int) conf.Value {
	switch of := of.(type) {
	case placed:
		return v.value(of.value, v.line(of.by))
	case table:
		fields := make([]conf.Field, len(of))
		for i, f := range of {
			fields[i] = conf.Field{Key: f.key, Value: v.value(f.value, line)}
		}
		return conf.Value{Of: fields, Line: line}
	case []any:
		elems := make([]conf.Value, len(of))
		for i, e := range of {
			elems[i] = v.value(e, line)
		}
		return conf.Value{Of: elems, Line: line}
	}
	return conf.Value{Of: of, Line: line}
}
