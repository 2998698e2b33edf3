// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package rbtree

import (
	"weir/internal/shm"
	"weir/internal/shmtx"
)

// The algorithms are those of Cormen, Leiserson, Rivest, Stein: Introduction to Algorithms, chapter 13, with nil for the
// sentinel: where a nil child may have to be looked at, its parent is carried along.

func (t *Tree) redAt(off shm.Offset) bool { return off != 0 && t.node(off).isRed() }

func (t *Tree) paint(tx *shmtx.Tx, off shm.Offset, color uint32) {
	n := t.node(off)
	if up := n.up&^red | color; up != n.up {
		tx.Put32(&n.up, up)
	}
}

func (t *Tree) setParent(tx *shmtx.Tx, off, parent shm.Offset) {
	if off != 0 {
		n := t.node(off)
		tx.Put32(&n.up, uint32(parent)|n.up&red)
	}
}

// replaceChild makes parent, or the root when parent is nil, point to new where it pointed to old.
func (t *Tree) replaceChild(tx *shmtx.Tx, parent, old, new shm.Offset) {
	if parent == 0 {
		tx.PutOffset(t.root, new)
		return
	}
	switch p := t.node(parent); old {
	case p.left:
		tx.PutOffset(&p.left, new)
	case p.right:
		tx.PutOffset(&p.right, new)
	default:
		shm.Faultf(t.zone, old, "rbtree: no child of its parent %#x", parent)
	}
}

// child is the right or the left child.
func (t *Tree) child(off shm.Offset, right bool) *shm.Offset {
	n := t.node(off)
	if right {
		return &n.right
	}
	return &n.left
}

// rotate moves the node at off down to the given side; its child on the other side takes its place.
func (t *Tree) rotate(tx *shmtx.Tx, off shm.Offset, toRight bool) {
	down, up := t.node(off), *t.child(off, !toRight)
	if up == 0 {
		shm.Faultf(t.zone, off, "rbtree: nothing to rotate with")
	}
	inner := *t.child(up, toRight)
	tx.PutOffset(t.child(off, !toRight), inner)
	t.setParent(tx, inner, off)
	parent := down.parent()
	t.replaceChild(tx, parent, off, up)
	t.setParent(tx, up, parent)
	tx.PutOffset(t.child(up, toRight), off)
	t.setParent(tx, off, up)
}

// afterInsert restores the rules when the new, red node at x may have a red parent.
func (t *Tree) afterInsert(tx *shmtx.Tx, x shm.Offset) {
	for range depthMax {
		parent := t.node(x).parent()
		if !t.redAt(parent) {
			if parent == 0 {
				t.paint(tx, x, 0)
			}
			return
		}
		grand := t.node(parent).parent()
		onRight := t.node(grand).right == parent
		if uncle := *t.child(grand, !onRight); t.redAt(uncle) {
			t.paint(tx, parent, 0)
			t.paint(tx, uncle, 0)
			t.paint(tx, grand, red)
			x = grand
			continue
		}
		if *t.child(parent, !onRight) == x { // the inner grandchild: make it the outer one
			t.rotate(tx, parent, onRight)
			parent = x
		}
		t.paint(tx, parent, 0)
		t.paint(tx, grand, red)
		t.rotate(tx, grand, !onRight)
		return
	}
	t.endless(x)
}

// Delete takes the node at off out of the tree. Its memory is the caller's again, to be freed in the same transaction.
func (t *Tree) Delete(tx *shmtx.Tx, off shm.Offset) {
	n := t.node(off)
	if n.left != 0 && n.right != 0 {
		t.swapWithNext(tx, off)
	}
	only := n.left
	if only == 0 {
		only = n.right
	}
	parent, wasRed := n.parent(), n.isRed()
	t.setParent(tx, only, parent)
	t.replaceChild(tx, parent, off, only)
	switch {
	case wasRed:
	case t.redAt(only):
		t.paint(tx, only, 0)
	default:
		t.afterDelete(tx, only, parent)
	}
}

// swapWithNext exchanges the node at off, which has two children, with the one behind it in order, which has no left
// child: place and color, not content, since others may know the nodes by their offsets.
func (t *Tree) swapWithNext(tx *shmtx.Tx, off shm.Offset) {
	n := t.node(off)
	next := t.leftmost(n.right)
	s := t.node(next)
	parent, left, right, up := n.parent(), n.left, n.right, n.up
	sParent, sRight, sUp := s.parent(), s.right, s.up

	t.replaceChild(tx, parent, off, next)
	tx.PutOffset(&s.left, left)
	t.setParent(tx, left, next)
	tx.PutOffset(&n.left, 0)
	tx.PutOffset(&n.right, sRight)
	t.setParent(tx, sRight, off)
	if sParent == off { // next is the right child itself
		tx.PutOffset(&s.right, off)
		tx.Put32(&n.up, uint32(next)|sUp&red)
	} else {
		tx.PutOffset(&s.right, right)
		t.setParent(tx, right, next)
		tx.PutOffset(&t.node(sParent).left, off)
		tx.Put32(&n.up, sUp)
	}
	tx.Put32(&s.up, up)
}

// afterDelete restores the rules when the paths through x, a child of parent and possibly nil, have one black node too few.
func (t *Tree) afterDelete(tx *shmtx.Tx, x, parent shm.Offset) {
	for range depthMax {
		if parent == 0 || t.redAt(x) {
			if x != 0 {
				t.paint(tx, x, 0)
			}
			return
		}
		onRight := t.node(parent).right == x
		sibling := *t.child(parent, !onRight)
		if t.redAt(sibling) {
			t.paint(tx, sibling, 0)
			t.paint(tx, parent, red)
			t.rotate(tx, parent, onRight)
			sibling = *t.child(parent, !onRight)
		}
		near, far := *t.child(sibling, onRight), *t.child(sibling, !onRight)
		if !t.redAt(near) && !t.redAt(far) {
			t.paint(tx, sibling, red)
			x, parent = parent, t.node(parent).parent()
			continue
		}
		if !t.redAt(far) {
			t.paint(tx, near, 0)
			t.paint(tx, sibling, red)
			t.rotate(tx, sibling, !onRight)
			far, sibling = sibling, near
		}
		t.paint(tx, sibling, t.node(parent).up&red)
		t.paint(tx, parent, 0)
		t.paint(tx, far, 0)
		t.rotate(tx, parent, onRight)
		return
	}
	t.endless(x)
}
