// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package peers

import (
	"fmt"
	"strconv"
	"sync/atomic"

	"weir/internal/zonekey"
)

// Name says which origin it is.
type Name struct {
	Group   string // the group's name in the config
	Address string // as $upstream_addr shows it: "127.0.0.1:9000", "unix:/run/app.sock"
	Nth     int    // 0; of an address that a group has several times, which of them: 1, 2, ...
}

// String is the name for people.
func (n Name) String() string {
	if n.Nth > 0 {
		return fmt.Sprintf("%s of %s (%d)", n.Address, n.Group, n.Nth+1)
	}
	return n.Address + " of " + n.Group
}

// key is the name as a block has it; hash tells most of them apart.
func (n Name) key() (key []byte, hash uint32) {
	key = make([]byte, 0, len(n.Group)+len(n.Address)+24)
	key = append(append(append(key, n.Group...), 0), n.Address...)
	if n.Nth > 0 {
		key = strconv.AppendInt(append(key, 0), int64(n.Nth), 10)
	}
	if len(key) > zonekey.Max {
		key = zonekey.Shorten(key)
	}
	return key, zonekey.Hash(key)
}

func load(p *uint64) uint64 { return atomic.LoadUint64(p) }

// Register makes blocks for the origins that have none; those that have one go on with it. An origin that comes to a group of which others are there already begins
// its slow_start at nowMs. The error says that there is no room, or no memory; some may have got a block then.
func (z *Zone) Register(list []Name, nowMs int64) error {
	groups := map[string]bool{}
	for _, n := range list {
		if _, _, ok := z.find(n); ok {
			groups[n.Group] = true
		}
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	next := 0
	for _, n := range list {
		key, hash := n.key()
		start := uint64(0)
		if groups[n.Group] {
			start = uint64(nowMs)
		}
		for done := false; !done; {
			if _, ok := z.seek(key, hash); ok {
				break
			}
			block, err := z.freeBlock(next)
			if err != nil {
				return err
			}
			next = block
			done = z.take(block, n, start)
		}
	}
	return nil
}

// freeBlock finds a block that nobody has, from the given one on, and backs it by memory. The caller has z.mu.
func (z *Zone) freeBlock(from int) (int, error) {
	for block := from; block < z.blocks(); block++ {
		if atomic.LoadUint32(&z.entry(block).used) == 0 {
			return block, nil
		}
	}
	block := max(from, z.blocks())
	if block >= Max {
		return 0, fmt.Errorf("upstreams: there is no room for more than %d origins", Max)
	}
	if block < z.reserved {
		return block, nil
	}
	z.reserved = min(block+reserveBlocks, Max)
	return block, z.shm.Reserve(z.at(block), int64(z.reserved-block)*z.blockBytes())
}

// reserveBlocks is how many blocks are backed by memory at a time.
const reserveBlocks = 32

// take makes a block that of an origin; false when blocks have come or gone since they were looked at.
func (z *Zone) take(block int, n Name, start uint64) bool {
	key, hash := n.key()
	tx := z.Lock()
	defer z.Unlock()
	if e := z.entry(block); e.used != 0 || z.h.changes != z.indexed {
		return false
	}
	tx.Step() // the block is free: what is written to it needs no undo until it is used
	*z.state(block) = state{startMs: start}
	for slot := range z.slots {
		*z.cell(block, slot) = cell{}
	}
	e := z.entry(block)
	e.length, e.hash, e.group = uint32(copy(e.key[:], key)), hash, zonekey.Hash([]byte(n.Group))
	tx.Put32(&e.used, 1)
	if count := uint64(block + 1); count > z.h.count {
		tx.Put64(&z.h.count, count)
	}
	z.indexed++
	tx.Put64(&z.h.changes, z.indexed)
	z.index[hash] = append(z.index[hash], block)
	return true
}

// Keep says which origins stay: those of these names, and those of these groups that have been seen since then (Peer.SetSeen).
type Keep struct {
	Names       []Name
	Groups      []string
	SeenSinceMs int64
}

// Retain frees the blocks of other origins. The caller knows that no living worker sends requests to them.
func (z *Zone) Retain(keep Keep) {
	wanted, groups := make(map[string]bool, len(keep.Names)), make(map[uint32]bool, len(keep.Groups))
	for _, n := range keep.Names {
		key, _ := n.key()
		wanted[string(key)] = true
	}
	for _, g := range keep.Groups {
		groups[zonekey.Hash([]byte(g))] = true
	}
	for block := range z.blocks() {
		e := z.entry(block)
		if atomic.LoadUint32(&e.used) == 0 || wanted[string(e.text())] || groups[e.group] && int64(load(&z.state(block).seenMs)) >= keep.SeenSinceMs {
			continue
		}
		tx := z.Lock()
		tx.Put32(&e.used, 0)
		tx.Put64(&z.h.changes, z.h.changes+1)
		z.Unlock()
	}
}

func (e *entry) text() []byte { return e.key[:min(int(e.length), len(e.key))] }

// Find is the origin of a name, as the worker in this process's slot knows it; false when Register has made no block for it. It is for when a config is
// built: the first call looks through all blocks.
func (z *Zone) Find(n Name) (*Peer, bool) {
	s, block, ok := z.find(n)
	if !ok {
		return nil, false
	}
	p := &Peer{zone: z, s: s, block: block}
	if z.slot != NoSlot {
		p.own = z.cell(block, z.slot)
	}
	return p, true
}

func (z *Zone) find(n Name) (s *state, block int, ok bool) {
	key, hash := n.key()
	z.mu.Lock()
	defer z.mu.Unlock()
	if block, ok = z.seek(key, hash); ok {
		s = z.state(block)
	}
	return s, block, ok
}

// seek is the block with a key. The caller has z.mu.
func (z *Zone) seek(key []byte, hash uint32) (block int, ok bool) {
	if changes := load(&z.h.changes); z.index == nil || z.indexed != changes {
		z.makeIndex()
		z.indexed = changes
	}
	for _, block := range z.index[hash] {
		if e := z.entry(block); e.used == 1 && string(e.text()) == string(key) {
			return block, true
		}
	}
	return 0, false
}

func (z *Zone) makeIndex() {
	z.index = make(map[uint32][]int, z.blocks())
	for block := range z.blocks() {
		if e := z.entry(block); atomic.LoadUint32(&e.used) == 1 {
			z.index[e.hash] = append(z.index[e.hash], block)
		}
	}
}
