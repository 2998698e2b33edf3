// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package rbtree

import (
	"fmt"

	"weir/internal/shm"
)

// Check walks the whole tree and returns every fault; visit, when not nil, sees each node in order, and compare, when not nil, is asked whether neighbours
// of equal keys are in order (less than 0). The caller holds the zone's lock, or has a copy of the zone.
func (t *Tree) Check(visit func(node shm.Offset), compare func(a, b shm.Offset) int) (faults []error) {
	c := checker{t: t, visit: visit, compare: compare}
	defer func() {
		if err := shm.FaultOf(recover()); err != nil {
			faults = append(c.faults, err) // what comes after it cannot be reached
		}
	}()
	if t.redAt(*t.root) {
		c.report("rbtree: the root is red")
	}
	c.walk(*t.root, 0, 0)
	return c.faults
}

type checker struct {
	t       *Tree
	visit   func(shm.Offset)
	compare func(a, b shm.Offset) int
	faults  []error
	last    shm.Offset
	visits  int64
}

func (c *checker) report(format string, args ...any) {
	c.faults = append(c.faults, fmt.Errorf(format, args...))
}

// walk checks the subtree at off and returns its number of black nodes on each path down.
func (c *checker) walk(off, parent shm.Offset, depth int) (blacks int) {
	if off == 0 {
		return 1
	}
	if c.visits++; depth > depthMax || c.visits > c.t.zone.SizeBytes()/Bytes {
		c.t.endless(off)
	}
	n := c.t.node(off)
	if n.parent() != parent {
		c.report("rbtree: node %#x: parent is %#x, want %#x", off, n.parent(), parent)
		return 1 // it belongs elsewhere, if anywhere
	}
	if n.isRed() && (c.t.redAt(n.left) || c.t.redAt(n.right)) {
		c.report("rbtree: node %#x is red and has a red child", off)
	}
	left := c.walk(n.left, off, depth+1)
	c.inOrder(off, n)
	right := c.walk(n.right, off, depth+1)
	if left != right {
		c.report("rbtree: node %#x: %d black nodes to the left, %d to the right", off, left, right)
	}
	if n.isRed() {
		return left
	}
	return left + 1
}

func (c *checker) inOrder(off shm.Offset, n *Node) {
	if c.last != 0 {
		last := c.t.node(c.last)
		if last.Key > n.Key || last.Key == n.Key && c.compare != nil && c.compare(c.last, off) >= 0 {
			c.report("rbtree: node %#x (key %#x) stands behind node %#x (key %#x)", off, n.Key, c.last, last.Key)
		}
	}
	c.last = off
	if c.visit != nil {
		c.visit(off)
	}
}
