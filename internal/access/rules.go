// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package access

import "net/netip"

// Net is a set of peers: a range of addresses, all clients of unix sockets, or both and all else.
type Net struct {
	Prefix netip.Prefix // of unmapped addresses; invalid for the others
	Unix   bool         // clients of unix sockets
	All    bool         // everybody
}

// Has says whether addr, which is unmapped and invalid for a client of a unix socket, is in the set.
func (n Net) Has(addr netip.Addr) bool {
	return n.All || n.Unix && !addr.IsValid() || n.Prefix.IsValid() && n.Prefix.Contains(addr)
}

// Rule lets a set of clients in, or keeps it out: nginx's allow and deny.
type Rule struct {
	Net
	Deny bool
}

// Rules are asked in order.
type Rules []Rule

// Verdict is what rules say of a client.
type Verdict uint8

// The verdicts. Where no rule fits, a client is let in, unless it is enough to satisfy any of several checks: then it has satisfied none.
const (
	NoRule Verdict = iota
	Allowed
	Denied
)

// Check is what the first rule says that fits addr; see Net.Has.
func (rules Rules) Check(addr netip.Addr) Verdict {
	for i := range rules {
		if !rules[i].Has(addr) {
			continue
		}
		if rules[i].Deny {
			return Denied
		}
		return Allowed
	}
	return NoRule
}
