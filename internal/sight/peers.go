// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package sight

import (
	"slices"

	"weir/conf"
	"weir/internal/peers"
)

// Shared says whether all workers know together what is to be known of a group's origins. Of an address that a proxy_pass names there is nothing to choose, and nobody to speak of it.
func Shared(g *conf.Upstream) bool { return !g.Implicit || Named(g) }

// Named says whether some of a group's origins are hosts: which addresses these have is not the config's to say.
func Named(g *conf.Upstream) bool {
	return slices.ContainsFunc(g.Servers, func(s conf.UpstreamServer) bool { return s.Address.Host != "" })
}

// NamesOf are the names in package peers of a group's origins that the config names by address, in its order.
func NamesOf(g *conf.Upstream) []peers.Name {
	var list []peers.Name
	seen := map[string]int{}
	for i := range g.Servers {
		if g.Servers[i].Address.Host != "" || !Shared(g) {
			continue
		}
		address := g.Servers[i].Address.String()
		list = append(list, peers.Name{Group: g.Name, Address: address, Nth: seen[address]})
		seen[address]++
	}
	return list
}

// PeerNames are the origins of a config that all workers know together.
func PeerNames(c *conf.Config) []peers.Name {
	var list []peers.Name
	for i := range c.Groups {
		list = append(list, NamesOf(&c.Groups[i])...)
	}
	return list
}
