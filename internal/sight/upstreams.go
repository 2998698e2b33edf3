// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package sight

import (
	"weir/conf"
	"weir/internal/peers"
)

// Upstream is a group of origins at one moment.
type Upstream struct {
	Name   string `json:"upstream"`
	Method string `json:"method"` // the directive; "round_robin"
	Peers  []Peer `json:"peers"`
}

// Peer is an origin of a group, as all workers know it.
type Peer struct {
	Address  string `json:"peer"`
	State    string `json:"state"`            // up, draining, down, unhealthy (a check says so), unavailable (max_fails), slow_start
	Admin    string `json:"admin,omitempty"`  // what an operator has said: up, drain, down; missing: nothing
	Health   string `json:"health,omitempty"` // healthy, unhealthy; missing: no check has said anything
	Weight   int    `json:"weight"`
	Backup   bool   `json:"backup,omitempty"`
	MaxConns int    `json:"max_conns,omitempty"`
	Active   int    `json:"active"` // requests in progress, of all workers
	Requests uint64 `json:"requests"`
	Fails    int    `json:"fails"` // failed attempts that no success has ended
}

// The states of a peer.
const (
	StateUp          = "up"
	StateDraining    = "draining"
	StateDown        = "down"
	StateUnhealthy   = "unhealthy"
	StateUnavailable = "unavailable"
	StateSlowStart   = "slow_start"
)

// PeerStates are the states that a peer can be in.
func PeerStates() []string {
	return []string{StateUp, StateDraining, StateDown, StateUnhealthy, StateUnavailable, StateSlowStart}
}

// Upstreams are the groups of a config that its workers know together, at nowMs on the clock of package peers.
func Upstreams(c *conf.Config, z *peers.Zone, nowMs int64) []Upstream {
	list := []Upstream{}
	found := foundPeers(c, z)
	for i := range c.Groups {
		g := &c.Groups[i]
		if !Shared(g) {
			continue
		}
		u := Upstream{Name: g.Name, Method: method(g), Peers: []Peer{}}
		named := map[peers.Name]bool{}
		at := 0
		names := NamesOf(g)
		var host *conf.UpstreamServer
		for j := range g.Servers {
			s := &g.Servers[j]
			if s.Address.Host != "" {
				host = s
				continue
			}
			named[names[at]] = true
			if p, ok := z.Find(names[at]); ok {
				u.Peers = append(u.Peers, peerAt(g, s, s.Address.String(), p, nowMs))
			}
			at++
		}
		for _, n := range found[g.Name] {
			if p, ok := z.Find(n); ok && !named[n] && host != nil && p.Seen(nowMs) {
				u.Peers = append(u.Peers, peerAt(g, host, n.Address, p, nowMs))
			}
		}
		list = append(list, u)
	}
	return list
}

// foundPeers are the names of the origins that hosts have led to, by group.
func foundPeers(c *conf.Config, z *peers.Zone) map[string][]peers.Name {
	for i := range c.Groups {
		if Named(&c.Groups[i]) {
			found := map[string][]peers.Name{}
			for _, n := range z.Names() {
				found[n.Group] = append(found[n.Group], n)
			}
			return found
		}
	}
	return nil
}

func method(g *conf.Upstream) string {
	switch {
	case g.LeastConn:
		return "least_conn"
	case g.IPHash:
		return "ip_hash"
	case g.Hash != nil && g.Hash.Consistent:
		return "hash consistent"
	case g.Hash != nil:
		return "hash"
	case g.Random == conf.RandomOne:
		return "random"
	case g.Random == conf.RandomTwo:
		return "random two"
	}
	return "round_robin"
}

// peerAt describes an origin. In a group of one failures do not matter, and what health checks have found only where there still are some.
func peerAt(g *conf.Upstream, c *conf.UpstreamServer, address string, p *peers.Peer, nowMs int64) Peer {
	s, single := p.Status(), len(g.Servers) == 1 && c.Address.Host == ""
	if g.HealthCheck == nil {
		s.Health = peers.Unknown
	}
	out := Peer{
		Address: address, Admin: s.Admin.String(), Weight: c.Weight, Backup: c.Backup, MaxConns: c.MaxConns,
		Active: s.Work, Requests: s.Picks, Fails: s.Fails, State: StateUp,
	}
	if s.Health != peers.Unknown {
		out.Health = s.Health.String()
	}
	configured := s.Admin == peers.AsConfigured
	switch {
	case s.Admin == peers.Down, configured && c.Down:
		out.State = StateDown
	case s.Health == peers.Unhealthy, s.Health == peers.Unknown && g.HealthCheck != nil && g.HealthCheck.Mandatory:
		out.State = StateUnhealthy
	case s.Admin == peers.Drain, configured && c.Drain:
		out.State = StateDraining
	case single:
	case p.Failing(nowMs, c.MaxFails, c.FailTimeout.Milliseconds()):
		out.State = StateUnavailable
	case p.Weight(c.Weight, c.SlowStart.Milliseconds(), nowMs) < int64(c.Weight)*peers.One:
		out.State = StateSlowStart
	}
	return out
}
