// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package rbtree is a red-black tree whose nodes stand in a zone and are linked by offsets.
//
//	     root (in the user's header)
//	       |
//	     [B 40]------.           Node: key, left, right, parent and color: 16 bytes
//	    /            |           at the start of the user's own record
//	 [R 20]        [B 60]
//	 /    \
//	[B 10] [B 30]
//
// The order is by a 32-bit key, mostly a hash, and among equal keys by a function of the user. The tree is intrusive: the user allocates
// records and puts them in; a node keeps its offset until the user frees it.
//
// Invariants (Check): the root is black; a red node has no red child; all ways down have the same number of black nodes; each
// node is its parent's child; the order is right.
//
// Everything is written by the owner of the zone's lock through its transaction; an insertion or deletion makes at most a
// few stores per level and two or three rotations. When the owner dies in the middle, the next one finds the tree as it was
// before the transaction.
//
// Failure: a link that leads nowhere, or a way down that never ends, panics with a *shm.Fault. Meet alone never panics.
//
// What is not here: allocation (slab), and a sentinel node as nginx has: nil serves.
package rbtree
