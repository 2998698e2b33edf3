// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package lookup

import (
	"fmt"
	"net/netip"
	"slices"
	"sort"
	"strings"
)

// Geo is a table of nginx's geo: by the longest prefix, or by ranges.
type Geo struct {
	prefixes map[netip.Prefix]int
	bits4    []int // the lengths that there are, longest first
	bits6    []int
	ranges   []span // in order, without overlaps
}

// span is a range of IPv4 addresses, both ends included.
type span struct {
	from, to netip.Addr
	value    int
}

// NewGeo makes a table of networks ("10.0.0.0/8", "2001:db8::/32", "192.0.2.1"), whose values are numbered in their order. Of the same network twice the last
// counts, as in nginx. remove are networks that are taken out (delete).
func NewGeo(keys, remove []string) (*Geo, error) {
	g := &Geo{prefixes: make(map[netip.Prefix]int, len(keys))}
	for i, key := range keys {
		p, err := ParseNetwork(key)
		if err != nil {
			return nil, err
		}
		g.prefixes[p] = i
	}
	for _, key := range remove {
		p, err := ParseNetwork(key)
		if err != nil {
			return nil, err
		}
		delete(g.prefixes, p)
	}
	for p := range g.prefixes {
		lengths := &g.bits4
		if p.Addr().Is6() {
			lengths = &g.bits6
		}
		if !slices.Contains(*lengths, p.Bits()) {
			*lengths = append(*lengths, p.Bits())
		}
	}
	for _, lengths := range [][]int{g.bits4, g.bits6} {
		slices.SortFunc(lengths, func(a, b int) int { return b - a })
	}
	return g, nil
}

// ParseNetwork reads a network or a single address; host bits are dropped.
func ParseNetwork(text string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		addr, errAddr := netip.ParseAddr(text)
		if errAddr != nil || addr.Zone() != "" {
			return p, fmt.Errorf("invalid network %q", text)
		}
		p = netip.PrefixFrom(addr, addr.BitLen())
	}
	return p.Masked(), nil
}

// NewGeoRanges makes a table of ranges of IPv4 addresses ("192.0.2.1-192.0.2.9"). Where two overlap, the later one counts, as in nginx.
func NewGeoRanges(keys, remove []string) (*Geo, error) {
	g := &Geo{}
	for i, key := range append(slices.Clip(keys), remove...) {
		from, to, err := parseRange(key)
		if err != nil {
			return nil, err
		}
		if i >= len(keys) {
			i = Default
		}
		g.put(span{from, to, i})
	}
	return g, nil
}

func parseRange(text string) (from, to netip.Addr, err error) {
	first, last, _ := strings.Cut(text, "-")
	from, errFrom := netip.ParseAddr(strings.TrimSpace(first))
	to, errTo := netip.ParseAddr(strings.TrimSpace(last))
	if errFrom != nil || errTo != nil || !from.Is4() || !to.Is4() || to.Less(from) {
		return from, to, fmt.Errorf("invalid range %q", text)
	}
	return from, to, nil
}

// put adds a range, and cuts away what it covers of others.
func (g *Geo) put(s span) {
	if n := len(g.ranges); n == 0 || g.ranges[n-1].to.Less(s.from) { // in order: the usual case
		g.ranges = append(g.ranges, s)
		return
	}
	at := sort.Search(len(g.ranges), func(i int) bool { return !g.ranges[i].to.Less(s.from) })
	var cut []span
	end := at
	for ; end < len(g.ranges) && !s.to.Less(g.ranges[end].from); end++ {
		old := g.ranges[end]
		if old.from.Less(s.from) {
			cut = append(cut, span{old.from, s.from.Prev(), old.value})
		}
		if s.to.Less(old.to) {
			cut = append(cut, span{s.to.Next(), old.to, old.value})
		}
	}
	cut = append(cut, s)
	slices.SortFunc(cut, func(a, b span) int { return a.from.Compare(b.from) })
	g.ranges = slices.Replace(g.ranges, at, end, cut...)
}

// Find returns the number of the value for an address, or Default. What is no address, as that of a client on a unix socket, is looked up as 255.255.255.255, as nginx does.
func (g *Geo) Find(addr netip.Addr) int {
	addr = addr.Unmap()
	if !addr.IsValid() {
		addr = netip.AddrFrom4([4]byte{255, 255, 255, 255})
	}
	if g.ranges != nil {
		at := sort.Search(len(g.ranges), func(i int) bool { return !g.ranges[i].to.Less(addr) })
		if at < len(g.ranges) && !addr.Less(g.ranges[at].from) {
			return g.ranges[at].value
		}
		return Default
	}
	lengths := g.bits4
	if addr.Is6() {
		lengths = g.bits6
	}
	for _, bits := range lengths {
		p, _ := addr.WithZone("").Prefix(bits)
		if value, ok := g.prefixes[p]; ok {
			return value
		}
	}
	return Default
}
