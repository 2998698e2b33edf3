// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package rbtree

import "weir/internal/shm"

// Node stands at the start of whatever is in a tree, at a multiple of 8. While it is in a tree it is changed only through the transaction,
// under the zone's lock.
type Node struct {
	Key         uint32     // 0: order; nodes of equal keys are ordered by the user's compare function. Never changes
	left, right shm.Offset // 4, 8: nil: none
	up          uint32     // 12: the parent's offset, nil for the root; the lowest bit is set in a red node
}

// Bytes is the size of a Node.
const Bytes = 16

const red = 1

func (n *Node) parent() shm.Offset { return shm.Offset(n.up &^ red) }

func (n *Node) isRed() bool { return n.up&red != 0 }

// depthMax bounds a walk from the root to a leaf: twice the logarithm of the most nodes that any zone has room for (2^32 / 16), and some more.
// A longer way is a circle.
const depthMax = 64
