// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package peers

import (
	"strconv"
	"strings"
	"sync/atomic"
)

// Found is an origin to which a host's name has led.
type Found struct {
	Address string // as in Name
	Record  uint32 // what was given to SetFound
}

// SetFound says that the name of a host has led to the origin: host is a number that stands for it among those of the group (0: it does not any more), record what
// else it said. Workers do so without the lock; the last one counts.
func (p *Peer) SetFound(host uint64, record uint32) {
	atomic.StoreUint64(&p.s.record, uint64(record))
	atomic.StoreUint64(&p.s.host, host)
}

// Host is a host's name in a group, by the number that was given to SetFound.
type Host struct {
	Group  string
	Number uint64
}

// Found are the origins to which names of hosts have led last. It looks through all blocks, and is for when a worker starts.
func (z *Zone) Found() map[Host][]Found {
	all := map[Host][]Found{}
	z.each(func(block int, n Name) {
		if s := z.state(block); load(&s.host) != 0 {
			h := Host{n.Group, load(&s.host)}
			all[h] = append(all[h], Found{n.Address, uint32(load(&s.record))})
		}
	})
	return all
}

// Names are those of all origins that there is a block for, but for those with names too long to be kept.
func (z *Zone) Names() (list []Name) {
	z.each(func(_ int, n Name) { list = append(list, n) })
	return list
}

// each calls f for all blocks in use whose names are known.
func (z *Zone) each(f func(block int, n Name)) {
	for block := range z.blocks() {
		e := z.entry(block)
		if atomic.LoadUint32(&e.used) != 1 {
			continue
		}
		group, rest, _ := strings.Cut(string(e.text()), "\x00")
		address, nth, _ := strings.Cut(rest, "\x00")
		n := Name{Group: group, Address: address}
		n.Nth, _ = strconv.Atoi(nth)
		if _, hash := n.key(); hash == e.hash {
			f(block, n)
		}
	}
}
