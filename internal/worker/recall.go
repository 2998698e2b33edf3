// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package worker

import (
	"net/netip"

	"weir/internal/peers"
	"weir/internal/resolver"
	"weir/internal/zonekey"
)

// What a host's name has led to stands with the origins, in the zone that all generations share: a worker that starts has the origins of those before it at once,
// and looks the names up then. So a reload, or a worker that takes the place of one that died, needs no name server that answers. nginx: the zone of an
// upstream is filled from the one before it.

// found is by which host's name a peer has been found, and what else the record says.
type found struct {
	host   uint64 // hostLookup.id; 0: by none
	record uint32
}

// foundBy is how the peer of a record has been found. Where a group names a host twice, the first one's peers say it for both.
func (s *namedServer) foundBy(a resolver.Address) found {
	if !s.first {
		return found{}
	}
	return found{s.host.id(), uint32(a.Weight)<<16 | uint32(a.Priority)}
}

// id is a number that stands for the host and its service, in each process the same one; never 0.
func (h *hostLookup) id() uint64 {
	return 1<<32 | uint64(zonekey.Hash([]byte(h.host+"\x00"+h.service)))
}

// recall goes on with what workers before this one have found.
func (n *names) recall() {
	if len(n.hosts) == 0 || n.w.origins == nil {
		return
	}
	all := n.w.origins.Found()
	for _, h := range n.hosts {
		for _, g := range h.users {
			if h.addrs = addresses(all[peers.Host{Group: g.group.Name, Number: h.id()}]); len(h.addrs) > 0 {
				h.tell()
				break
			}
		}
	}
}

func addresses(list []peers.Found) (addrs []resolver.Address) {
	for _, f := range list {
		if at, err := netip.ParseAddrPort(f.Address); err == nil {
			addrs = append(addrs, resolver.Address{IP: at.Addr(), Port: at.Port(), Weight: uint16(f.Record >> 16), Priority: uint16(f.Record)})
		}
	}
	return addrs
}

// forget removes from the zone the names by which the group's peers were found.
func (g *namedGroup) forget() {
	for i := range g.peers {
		if shared := g.peers[i].Shared; shared != nil && g.found[i].host != 0 {
			shared.SetFound(0, 0)
		}
	}
}
