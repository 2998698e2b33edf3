// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package buffer

import (
	"fmt"

	"weir/internal/invariant"
	"weir/internal/sys"
)

// What builds with the tag "invariants" do so that the use of a block after its release is found:
//
//   - the memory is filled with a pattern at release, so who reads it through an old slice gets nonsense;
//   - Data is taken away and R set behind W, so who uses the old descriptor panics in the very line;
//   - when the block is acquired again, or checked, the pattern must be untouched: who wrote through an old slice is
//     found then.

// poisonByte is not a byte of text, and as a part of an integer makes it absurd.
const poisonByte = 0xdb

// warmUp touches every page of a cold block, so that the kernel gives them now.
func (p *Pool) warmUp(b *Block) {
	mem := p.memory(b)
	if invariant.Enabled {
		if i := firstOther(mem, 0); i >= 0 {
			panic(p.written(b, i))
		}
		p.poison(b)
		return
	}
	for i := 0; i < len(mem); i += sys.PageSize() {
		mem[i] = 0
	}
}

// poison makes a block unusable.
func (p *Pool) poison(b *Block) {
	mem := p.memory(b)
	for i := range mem {
		mem[i] = poisonByte
	}
	b.Data, b.R, b.W = nil, 1, 0
}

// unpoison makes it usable again.
func (p *Pool) unpoison(b *Block) {
	if i := firstOther(p.memory(b), poisonByte); i >= 0 {
		panic(p.written(b, i))
	}
	b.Data = p.memory(b)
}

// firstOther is the offset of the first byte of mem that is not want, or -1.
func firstOther(mem []byte, want byte) int {
	for i, c := range mem {
		if c != want {
			return i
		}
	}
	return -1
}

// written is the report about a free block that somebody has written to.
func (p *Pool) written(b *Block, i int) string {
	mem := p.memory(b)[i:]
	return fmt.Sprintf("buffer: %v was written to at offset %d after its release: % x", b, i, mem[:min(len(mem), 16)])
}
