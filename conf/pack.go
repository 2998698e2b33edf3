// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// The packed form of a configuration is its tree, overrides included, without places: one byte for what a node is, then
//
//	table   number of keys; for each its name and its value
//	list    number of elements; each of them
//	text    length, bytes
//	number  a varint, or the eight bytes of a fraction
//
// Numbers of things and lengths are uvarints. Nobody reads it but processes of the same build.
const (
	packedTable    = 't'
	packedList     = 'l'
	packedText     = 's'
	packedNumber   = 'i'
	packedFraction = 'f'
	packedTrue     = '1'
	packedFalse    = '0'
)

// LoadPacked is Load, and returns the packed form too, of which Unpack makes an equal Config in a fraction of the time: the text of ten thousand servers takes longer to
// parse than all else that Load does.
func LoadPacked(src Source) (cfg *Config, packed []byte, warnings []Fault, err error) {
	cfg, root, warnings, err := load(src)
	if err == nil {
		packed = root.pack(nil)
	}
	return cfg, packed, warnings, err
}

// Unpack makes the Config again of which LoadPacked made the packed form, with the same prefix. The error says that packed is not that.
func Unpack(packed []byte, prefix string) (*Config, error) {
	u := unpacker{text: string(packed)}
	root := u.node()
	if u.bad || u.text != "" || root.kids == nil {
		return nil, errors.New("config: it is damaged")
	}
	cfg, _, faults := decode(root, prefix)
	if len(faults) > 0 {
		return nil, faults
	}
	return cfg, nil
}

// pack appends the packed form of n to b. A valid configuration has no other values than these.
func (n *node) pack(b []byte) []byte {
	text := func(kind byte, s string) {
		b = binary.AppendUvarint(append(b, kind), uint64(len(s)))
		b = append(b, s...)
	}
	switch {
	case n.kids != nil:
		b = binary.AppendUvarint(append(b, packedTable), uint64(len(n.keys)))
		for _, key := range n.keys {
			text(packedText, key)
			b = n.kids[key].pack(b)
		}
		return b
	case n.list:
		b = binary.AppendUvarint(append(b, packedList), uint64(len(n.elems)))
		for _, e := range n.elems {
			b = e.pack(b)
		}
		return b
	}
	switch v := n.value.(type) {
	case string:
		text(packedText, v)
	case int64:
		b = binary.AppendVarint(append(b, packedNumber), v)
	case float64:
		b = binary.BigEndian.AppendUint64(append(b, packedFraction), math.Float64bits(v))
	case bool:
		b = append(b, map[bool]byte{true: packedTrue, false: packedFalse}[v])
	default:
		panic(fmt.Sprintf("conf: a valid configuration has a value of the type %T", v))
	}
	return b
}

// unpacker reads the packed form. Texts are parts of its own one.
type unpacker struct {
	text string // what is left
	bad  bool   // it is not the packed form of anything
	free []node // made in advance
}

// node reads one value; an empty one when there is none.
func (u *unpacker) node() *node {
	n := u.alloc()
	switch kind := u.byte(); kind {
	case packedTable:
		count := u.count()
		n.keys, n.kids = make([]string, 0, count), make(map[string]*node, count)
		for range count {
			u.bad = u.bad || u.byte() != packedText
			key := u.bytes(u.count())
			n.keys = append(n.keys, key)
			n.kids[key] = u.node()
		}
	case packedList:
		n.list, n.elems = true, make([]*node, u.count())
		for i := range n.elems {
			n.elems[i] = u.node()
		}
	case packedText:
		n.value = u.bytes(u.count())
	case packedNumber:
		v, size := binary.Varint([]byte(u.text[:min(len(u.text), binary.MaxVarintLen64)]))
		u.bytes(max(size, 0))
		n.value, u.bad = v, u.bad || size <= 0
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
