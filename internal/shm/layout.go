// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package shm

// Offset is a place in a zone: bytes from its start. 0 is nil. Zones are mapped at different addresses in different
// processes, so this is the only kind of link that may be stored in one.
type Offset uint32

// The areas of a zone, in bytes from its start. See doc.go for the picture.
const (
	LockArea  Offset = 0x0200 // 256 bytes: lock word, undo length, lock counters (package shmtx)
	AllocArea Offset = 0x0300 // 768 bytes: the allocator's header (package slab)
	UserArea  Offset = 0x0600 // 2560 bytes: the header of what stands in the data area
	UndoArea  Offset = 0x1000 // 8 KiB: 512 undo records of 16 bytes (package shmtx)
	DataArea  Offset = 0x3000 // everything from here to the end: pages of the allocator, or the user's own layout
)

const (
	// PageBytes is the unit in which zones are sized and the allocator hands out runs. It is a constant of the layout, not the machine's page size.
	PageBytes = 4096
	// MinBytes is the smallest zone: the fixed areas and five pages.
	MinBytes = int64(DataArea) + 5*PageBytes
	// MaxBytes is the largest zone: an Offset has 32 bits.
	MaxBytes = 1<<32 - PageBytes

	nameMax = 64
	kindMax = 24
	keyMax  = 256
)

// Layout is the version of the bytes described in this package, shmtx, slab and rbtree.
const Layout = 3

// magic says "weirzone" when read as bytes.
const magic = 0x656e6f7a72696577

// identity stands at offset 0. Create writes it before any other process has the descriptor; nobody writes it after
// that. magic is written last: a zone whose creator died half-way is not taken for one.
type identity struct {
	magic        uint64        // 0
	layout       uint32        // 8: Layout
	kindLayout   uint32        // 12: version of what stands in the data area
	features     uint32        // 16: bits that a user must know to use the zone (package shmtx: kind of lock)
	part         uint32        // 20: 1: made with ReservedBytes
	size         uint64        // 24: bytes of the whole zone
	pidNamespace uint64        // 32: inode of the creator's PID namespace; 0 unknown
	nameLen      uint16        // 40
	kindLen      uint16        // 42
	keyLen       uint16        // 44
	_            uint16        // 46
	kind         [kindMax]byte // 48: "limit_conn", "stats", ...
	name         [nameMax]byte // 72
	key          [keyMax]byte  // 136: the text that says what the zone's keys are; 392 bytes in all
}
