// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	"encoding/binary"
	"fmt"
	"math"
)

// The packed form of a configuration is its tree of values. For each node it has a byte that says what it is, how many lines it stands below the node before it, then
//
//	table   number of keys; for each the length of its name, its name, and its value
//	list    number of elements; each of them
//	text    length, bytes
//	number  a varint, or the eight bytes of a fraction
//
// Counts and lengths are uvarints, lines are varints. Only processes of the same build read it.
const (
	packedTable    = 't'
	packedList     = 'l'
	packedText     = 's'
	packedNumber   = 'i'
	packedFraction = 'f'
	packedTrue     = '1'
	packedFalse    = '0'
)

// LoadPacked is Load, and returns the packed form too, overrides included. Unpack makes an equal Config of it in a fraction of the time: to parse the text of ten thousand servers
// takes longer than everything else that Load does.
func LoadPacked(src Source) (cfg *Config, packed []byte, warnings []Fault, err error) {
	cfg, root, warnings, err := load(src)
	if err == nil {
		packed = root.pack(nil, new(int))
	}
	return cfg, packed, warnings, err
}

// Unpack makes the Config again of which LoadPacked made the packed form, with the same prefix. The error says that packed is not that.
func Unpack(packed []byte, prefix string) (*Config, error) {
	root, fault := unpack("", packed)
	if fault != nil {
		return nil, Faults{*fault}
	}
	cfg, _, faults := decode(root, prefix)
	if len(faults) > 0 {
		return nil, faults
	}
	return cfg, nil
}

// unpack makes the tree again, and gives all nodes the file. The fault is that packed is no packed form, or that a key is given twice.
func unpack(file string, packed []byte) (*node, *Fault) {
	u := unpacker{file: file, text: string(packed)}
	root := u.node()
	switch {
	case u.bad || u.text != "" || root.kids == nil:
		return nil, &Fault{File: file, Text: "the packed configuration is damaged"}
	case u.twice != nil:
		return nil, u.twice
	}
	return root, nil
}

// pack appends the packed form of n to b. line is that of the node before n. A valid configuration has no other values than these.
func (n *node) pack(b []byte, line *int) []byte {
	kind := func(c byte) {
		b = binary.AppendVarint(append(b, c), int64(n.line-*line))
		*line = n.line
	}
	text := func(s string) {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	switch {
	case n.kids != nil:
		kind(packedTable)
		b = binary.AppendUvarint(b, uint64(len(n.keys)))
		for _, key := range n.keys {
			text(key)
			b = n.kids[key].pack(b, line)
		}
		return b
	case n.list:
		kind(packedList)
		b = binary.AppendUvarint(b, uint64(len(n.elems)))
		for _, e := range n.elems {
			b = e.pack(b, line)
		}
		return b
	}
	switch v := n.value.(type) {
	case string:
		kind(packedText)
		text(v)
	case int64:
		kind(packedNumber)
		b = binary.AppendVarint(b, v)
	case float64:
		kind(packedFraction)
		b = binary.BigEndian.AppendUint64(b, math.Float64bits(v))
	case bool:
		kind(map[bool]byte{true: packedTrue, false: packedFalse}[v])
	default:
		panic(fmt.Sprintf("conf: a valid configuration has a value of the type %T", v))
	}
	return b
}

// What an unpacker takes of a text that is to harm it.
const (
	maxDepth = 1000 // tables and lists in one another
	maxAhead = 1000 // keys and elements for which room is made before they are read
)

// unpacker reads the packed form. Texts are parts of its own one.
type unpacker struct {
	file  string
	text  string // what is left
	line  int    // of the node before
	depth int    // of the node that is being read
	bad   bool   // it is not the packed form of anything
	twice *Fault // the first key that is given twice
	free  []node // made in advance
}

// node reads one value; an empty one when there is none.
func (u *unpacker) node() *node {
	n := u.alloc()
	u.depth++
	defer func() { u.depth-- }()
	u.bad = u.bad || u.depth > maxDepth
	kind := u.byte()
	u.line += int(u.varint())
	n.file, n.line = u.file, u.line
	switch kind {
	case packedTable:
		count := u.count()
		n.keys, n.kids = make([]string, 0, min(count, maxAhead)), make(map[string]*node, min(count, maxAhead))
		for ; count > 0 && !u.bad; count-- {
			u.key(n)
		}
	case packedList:
		count := u.count()
		n.list, n.elems = true, make([]*node, 0, min(count, maxAhead))
		for ; count > 0 && !u.bad; count-- {
			n.elems = append(n.elems, u.node())
		}
	case packedText:
		n.value = u.bytes(u.count())
	case packedNumber:
		n.value = u.varint()
	case packedFraction:
		if bits := u.bytes(8); bits != "" {
			n.value = math.Float64frombits(binary.BigEndian.Uint64([]byte(bits)))
		}
	case packedTrue, packedFalse:
		n.value = kind == packedTrue
	default:
		u.bad = true
	}
	return n
}

// key reads a key of a table and its value.
func (u *unpacker) key(table *node) {
	key := u.bytes(u.count())
	kid := u.node()
	if table.kids[key] != nil {
		if u.twice == nil {
			u.twice = &Fault{File: u.file, Line: kid.line, Key: key, Text: "is given twice"}
		}
		return
	}
	table.keys = append(table.keys, key)
	table.kids[key] = kid
}

func (u *unpacker) alloc() *node {
	if len(u.free) == 0 {
		u.free = make([]node, 256)
	}
	n := &u.free[0]
	u.free = u.free[1:]
	return n
}

func (u *unpacker) byte() byte {
	if b := u.bytes(1); b != "" {
		return b[0]
	}
	return 0
}

// bytes takes so many; none when there are fewer.
func (u *unpacker) bytes(n int) string {
	if u.bad || n > len(u.text) {
		u.bad = true
		return ""
	}
	taken := u.text[:n]
	u.text = u.text[n:]
	return taken
}

func (u *unpacker) varint() int64 {
	v, size := binary.Varint([]byte(u.text[:min(len(u.text), binary.MaxVarintLen64)]))
	u.bytes(max(size, 0))
	u.bad = u.bad || size <= 0
	return v
}

// count reads how many follow, of which each takes a byte at least.
func (u *unpacker) count() int {
	n, size := binary.Uvarint([]byte(u.text[:min(len(u.text), binary.MaxVarintLen64)]))
	if size <= 0 || n > uint64(len(u.text)-size) {
		u.bad = true
		return 0
	}
	u.bytes(size)
	return int(n)
}
