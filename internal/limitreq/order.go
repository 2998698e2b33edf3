// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package limitreq

import (
	"weir/internal/shm"
	"weir/internal/shmtx"
)

// touch makes a node the newest one.
func (z *Zone) touch(tx *shmtx.Tx, at shm.Offset) {
	if z.h.newest == at {
		return
	}
	n := z.node(at)
	z.unlink(tx, n)
	tx.PutOffset(&n.newer, 0)
	tx.PutOffset(&n.older, z.h.newest)
	z.linkNewest(tx, at)
}

// linkNewest puts a node whose own links are made before all others.
func (z *Zone) linkNewest(tx *shmtx.Tx, at shm.Offset) {
	if z.h.newest != 0 {
		tx.PutOffset(&z.node(z.h.newest).newer, at)
	} else {
		tx.PutOffset(&z.h.oldest, at)
	}
	tx.PutOffset(&z.h.newest, at)
}

// unlink takes a node out of the order; its own links stay as they are.
func (z *Zone) unlink(tx *shmtx.Tx, n *node) {
	if n.newer != 0 {
		tx.PutOffset(&z.node(n.newer).older, n.older)
	} else {
		tx.PutOffset(&z.h.newest, n.older)
	}
	if n.older != 0 {
		tx.PutOffset(&z.node(n.older).newer, n.newer)
	} else {
		tx.PutOffset(&z.h.oldest, n.newer)
	}
}

// drop lets a key leave the zone. It is a transaction of its own, because its memory may be written without undo right after.
func (z *Zone) drop(tx *shmtx.Tx, at shm.Offset) {
	z.unlink(tx, z.node(at))
	z.tree.Delete(tx, at)
	tx.Put32(&z.h.keys, z.h.keys-1)
	z.pool.Free(tx, at)
	tx.Commit()
}
