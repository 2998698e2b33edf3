// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package shm

import "fmt"

// Check returns every fault of the zone's identity. It reads only what no one writes, so it needs no lock.
func (z *Zone) Check() []error {
	var faults []error
	report := func(format string, args ...any) { faults = append(faults, fmt.Errorf("header: "+format, args...)) }
	id := z.identity()
	if id.magic != magic {
		report("magic %#x, want %#x", id.magic, uint64(magic))
	}
	if id.layout != Layout {
		report("layout %d, want %d", id.layout, Layout)
	}
	if id.size != z.size {
		report("size %d, mapped %d", id.size, z.size)
	}
	if n := id.nameLen; n == 0 || n > nameMax {
		report("the name has %d bytes, want 1 to %d", n, nameMax)
	}
	if n := id.kindLen; n == 0 || n > kindMax {
		report("the kind has %d bytes, want 1 to %d", n, kindMax)
	}
	if n := id.keyLen; n > keyMax {
		report("the key has %d bytes, at most %d allowed", n, keyMax)
	}
	return faults
}
