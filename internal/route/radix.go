// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package route

import "strings"

// noLocation is where a location's index stands if there is none.
const noLocation = -1

// radix is a compressed trie of paths. A node's label is the piece of path between its parent and
// itself; the first bytes of its children's labels are all different:
//
//	"" ── "/" (prefix 0) ─┬─ "api/" (prefix 1) ─┬─ "v1" (exact 4)
//	                      │                     └─ "users" (prefix 2)
//	                      └─ "static/" (prefix 3)
//
// Nodes lie in one slice and point to each other by index. Node 0 is the root, which no node points to.
type radix struct {
	nodes []radixNode
}

type radixNode struct {
	label    string
	firsts   string   // first byte of each child's label
	children []uint32 // in the order of firsts
	prefix   int32    // the location of this path as a prefix, or noLocation
	exact    int32    // the location of exactly this path, or noLocation
	redirect int32    // the location to redirect to if only the path's final slash is missing, or noLocation

	prefixOnly bool // prefix is "^~"
}

// radixMatch is what match found; each location is noLocation if there is none.
type radixMatch struct {
	exact      int32
	redirect   int32
	prefix     int32
	prefixOnly bool
}

func (r *radix) init() {
	r.nodes = nil
	r.alloc("")
}

func (r *radix) alloc(label string) uint32 {
	r.nodes = append(r.nodes, radixNode{label: label, prefix: noLocation, exact: noLocation, redirect: noLocation})
	return uint32(len(r.nodes) - 1)
}

// insert returns the node of path, made if need be. The pointer is good until the next insert.
func (r *radix) insert(path string) *radixNode {
	at := uint32(0)
	for path != "" {
		node := &r.nodes[at]
		slot := strings.IndexByte(node.firsts, path[0])
		if slot < 0 {
			child := r.alloc(path)
			node = &r.nodes[at]
			node.firsts += path[:1]
			node.children = append(node.children, child)
			return &r.nodes[child]
		}
		child := node.children[slot]
		common := commonPrefix(r.nodes[child].label, path)
		if common < len(r.nodes[child].label) {
			child = r.split(at, slot, common)
		}
		at, path = child, path[common:]
	}
	return &r.nodes[at]
}

// split puts a node between the node at and its child, which has the first n bytes of the
// child's label, and returns it.
func (r *radix) split(at uint32, slot, n int) uint32 {
	lower := r.nodes[at].children[slot]
	label := r.nodes[lower].label
	upper := r.alloc(label[:n])
	r.nodes[lower].label = label[n:]
	r.nodes[upper].firsts = label[n : n+1]
	r.nodes[upper].children = []uint32{lower}
	r.nodes[at].children[slot] = upper
	return upper
}

func commonPrefix(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// match walks down along path once and remembers the last prefix that it came by.
func (r *radix) match(path []byte) radixMatch {
	m := radixMatch{exact: noLocation, redirect: noLocation, prefix: noLocation}
	node := &r.nodes[0]
	rest := path
	for {
		if node.prefix != noLocation {
			m.prefix, m.prefixOnly = node.prefix, node.prefixOnly
		}
		if len(rest) == 0 {
			m.exact = node.exact
			if node.exact == noLocation && node.prefix == noLocation {
				m.redirect = r.slashBelow(node)
			}
			return m
		}
		slot := 0
		for slot < len(node.firsts) && node.firsts[slot] != rest[0] { // most nodes have few: a call would take longer
			slot++
		}
		if slot == len(node.firsts) {
			return m
		}
		child := &r.nodes[node.children[slot]]
		if len(rest) < len(child.label) {
			if len(rest)+1 == len(child.label) && child.label[len(rest)] == '/' && child.label[:len(rest)] == string(rest) {
				m.redirect = child.redirect
			}
			return m
		}
		if string(rest[:len(child.label)]) != child.label {
			return m
		}
		rest = rest[len(child.label):]
		node = child
	}
}

// slashBelow returns the redirect of the node whose path is this node's and a "/".
func (r *radix) slashBelow(node *radixNode) int32 {
	slot := strings.IndexByte(node.firsts, '/')
	if slot < 0 {
		return noLocation
	}
	if child := &r.nodes[node.children[slot]]; child.label == "/" {
		return child.redirect
	}
	return noLocation
}
