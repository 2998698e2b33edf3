// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package sight

import (
	"weir/conf"
	"weir/internal/stats"
)

// OfServer is the series of a server.
func OfServer(s *conf.Server) stats.Series {
	x := stats.Series{Kind: stats.KindServer}
	if len(s.ServerName) > 0 {
		x.Name[0] = s.ServerName[0]
	}
	if len(s.Listen) > 0 {
		x.Name[1] = s.Listen[0].Address.String()
	}
	return x
}

// OfPeer is the series of an origin.
func OfPeer(group *conf.Upstream, s *conf.UpstreamServer) stats.Series {
	return stats.Series{Kind: stats.KindPeer, Name: [2]string{group.Name, s.Address.String()}}
}

// Series are those of a config: its servers and origins; none where nobody wants to see them.
func Series(c *conf.Config) []stats.Series {
	if !c.ShowsNumbers() {
		return nil
	}
	var list []stats.Series
	for i := range c.HTTP.Servers {
		list = append(list, OfServer(&c.HTTP.Servers[i]))
	}
	for i := range c.Groups {
		for j := range c.Groups[i].Servers {
			list = append(list, OfPeer(&c.Groups[i], &c.Groups[i].Servers[j]))
		}
	}
	return list
}
