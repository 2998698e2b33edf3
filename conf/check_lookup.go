// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import "weir/internal/lookup"

// checkLookups checks map, geo and split_clients, and defines their variables.
func (k *checker) checkLookups(p *path) {
	http := &k.cfg.HTTP
	for i := range http.Maps {
		m := &http.Maps[i]
		at := k.entry(p.key("map"), m.Name, i)
		k.define(at, m.Name)
		table, err := lookup.NewMap(m.Keys(), m.Hostnames)
		if err != nil {
			k.faultAt(at.key("value"), "%v", err)
			continue
		}
		for _, pattern := range table.Patterns() {
			for _, name := range pattern.GroupNames() {
				if name != "" {
					k.define(at.key("value"), name)
				}
			}
		}
	}
	for i := range http.Geos {
		g := &http.Geos[i]
		at := k.entry(p.key("geo"), g.Name, i)
		k.define(at, g.Name)
		if _, err := g.Table(); err != nil {
			k.faultAt(at.key("value"), "%v", err)
		}
	}
	for i := range http.Splits {
		s := &http.Splits[i]
		at := k.entry(p.key("split_clients"), s.Name, i)
		k.define(at, s.Name)
		if _, err := lookup.NewSplit(s.Keys()); err != nil {
			k.faultAt(at.key("value"), "%v", err)
		}
	}
}

// define defines a variable.
func (k *checker) define(p *path, name string) {
	if _, err := k.variables.Define(name); err != nil {
		k.faultAt(p, "%v", err)
	}
}

// Keys are what is looked up, in order.
func (m *Map) Keys() []string {
	keys := make([]string, len(m.Values))
	for i := range keys {
		keys[i] = m.Values[i].Key
	}
	return keys
}

// Keys are the parts, in order.
func (s *SplitClients) Keys() []string {
	keys := make([]string, len(s.Values))
	for i := range keys {
		keys[i] = s.Values[i].Key
	}
	return keys
}

// Table makes the table of the entries. The error names one that is malformed.
func (g *Geo) Table() (*lookup.Geo, error) {
	keys := make([]string, len(g.Values))
	for i := range keys {
		keys[i] = g.Values[i].Key
	}
	if g.Ranges {
		return lookup.NewGeoRanges(keys, g.Delete)
	}
	return lookup.NewGeo(keys, g.Delete)
}
