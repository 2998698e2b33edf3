// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package rbtree

import (
	"weir/internal/shm"
	"weir/internal/shmtx"
)

// Tree is this process's handle on a tree in a zone. Every method needs the zone's lock.
type Tree struct {
	zone *shm.Zone
	root *shm.Offset // stands in the user's header
}

// New is the tree whose root is at root, which points into the zone. An empty tree's root is nil.
func New(z *shm.Zone, root *shm.Offset) Tree { return Tree{zone: z, root: root} }

// Place is where in a tree a node that is not there would go. It is good until the tree changes.
type Place struct {
	parent shm.Offset // nil: the tree is empty
	right  bool
}

func (t *Tree) node(off shm.Offset) *Node { return shm.At[Node](t.zone, off) }

// Seek looks for key. Among nodes of the same key compare decides: it returns less than, equal to or greater than 0 when what is sought stands before,
// is, or stands behind node. found is nil when there is no such node; then at is its place.
func (t *Tree) Seek(key uint32, compare func(node shm.Offset) int) (found shm.Offset, at Place) {
	next := *t.root
	for range depthMax {
		if next == 0 {
			return 0, at
		}
		n := t.node(next)
		right := key > n.Key
		if key == n.Key {
			order := compare(next)
			if order == 0 {
				return next, at
			}
			right = order > 0
		}
		at = Place{parent: next, right: right}
		if right {
			next = n.right
		} else {
			next = n.left
		}
	}
	t.endless(next)
	return 0, at
}

// Meet is the node that a walk down from the root meets first of those with this key: of the only one, it is Seek without a compare function. nil when
// there is none. Unlike Seek it is for those who go another way when something is wrong: a link that cannot be one ends the walk too.
func (t *Tree) Meet(key uint32) shm.Offset {
	off := *t.root
	for range depthMax {
		n := shm.Look[Node](t.zone, off)
		if n == nil {
			return 0
		}
		if n.Key == key {
			return off
		}
		if off = n.left; key > n.Key {
			off = n.right
		}
	}
	return 0
}

func (t *Tree) endless(off shm.Offset) {
	shm.Faultf(t.zone, off, "rbtree: more than %d steps from the root", depthMax)
}

// Insert puts the node at off, with this key, to the place that Seek gave. The memory at off was free before the transaction.
func (t *Tree) Insert(tx *shmtx.Tx, off shm.Offset, key uint32, at Place) {
	tx.Step()
	*t.node(off) = Node{Key: key, up: uint32(at.parent) | red}
	switch {
	case at.parent == 0:
		tx.PutOffset(t.root, off)
	case at.right:
		tx.PutOffset(&t.node(at.parent).right, off)
	default:
		tx.PutOffset(&t.node(at.parent).left, off)
	}
	t.afterInsert(tx, off)
}

// First is the first node in order, nil in an empty tree.
func (t *Tree) First() shm.Offset {
	if *t.root == 0 {
		return 0
	}
	return t.leftmost(*t.root)
}

func (t *Tree) leftmost(off shm.Offset) shm.Offset {
	for range depthMax {
		left := t.node(off).left
		if left == 0 {
			return off
		}
		off = left
	}
	t.endless(off)
	return 0
}

// Next is the node behind off in order, nil behind the last.
func (t *Tree) Next(off shm.Offset) shm.Offset {
	n := t.node(off)
	if n.right != 0 {
		return t.leftmost(n.right)
	}
	for range depthMax {
		parent := n.parent()
		if parent == 0 {
			return 0
		}
		up := t.node(parent)
		if up.left == off {
			return parent
		}
		off, n = parent, up
	}
	t.endless(off)
	return 0
}

// After is the first node behind a place, nil when there is none.
func (t *Tree) After(at Place) shm.Offset {
	if at.parent == 0 || !at.right {
		return at.parent
	}
	return t.Next(at.parent)
}
