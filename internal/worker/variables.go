// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package worker

import (
	"fmt"

	"weir/conf"
	"weir/internal/access"
	"weir/internal/lookup"
	"weir/internal/request"
	"weir/internal/vars"
)

// define makes the variables that the config defines, by their numbers.
func (b *builder) define() {
	names := b.config.Variables
	b.defined = make([]request.Defined, names.Len())
	for i := range b.defined {
		b.defined[i].Name = names.Name(vars.ID(vars.NumIDs + i))
	}
}

// lookups makes the variables of map, geo and split_clients.
func (b *builder) lookups() error {
	http := &b.config.HTTP
	for i := range http.Maps {
		m := &http.Maps[i]
		l := &request.Lookup{Volatile: m.Volatile}
		var err error
		if l.Map, err = lookup.NewMap(m.Keys(), m.Hostnames); err != nil {
			return err
		}
		for _, p := range l.Map.Patterns() {
			p.Bind(b.number)
		}
		for _, v := range m.Values {
			if err := b.addValue(l, v.Value); err != nil {
				return err
			}
		}
		if err := b.finish(l, m.Name, m.Source, m.Default); err != nil {
			return err
		}
	}
	for i := range http.Geos {
		if err := b.geo(&http.Geos[i]); err != nil {
			return err
		}
	}
	for i := range http.Splits {
		s := &http.Splits[i]
		l := &request.Lookup{}
		var err error
		if l.Split, err = lookup.NewSplit(s.Keys()); err != nil {
			return err
		}
		for _, v := range s.Values {
			if err := b.addValue(l, v.Value); err != nil {
				return err
			}
		}
		if err := b.finish(l, s.Name, s.Source, ""); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) addValue(l *request.Lookup, text conf.Template) error {
	t, err := b.compile(string(text))
	l.Values = append(l.Values, t)
	return err
}

// finish gives a lookup its source and the value for what it has no entry for, and makes it a variable's.
func (b *builder) finish(l *request.Lookup, name string, source, otherwise conf.Template) error {
	var err error
	if l.Source, err = b.compile(string(source)); err != nil {
		return err
	}
	b.defined[b.number(name)].Lookup = l
	if otherwise == "" {
		return nil
	}
	l.Default, err = b.compile(string(otherwise))
	return err
}

func (b *builder) geo(g *conf.Geo) error {
	l := &request.Lookup{OfPeer: g.Source == "$remote_addr"}
	var err error
	if l.Geo, err = g.Table(); err != nil {
		return err
	}
	values := map[string]*vars.Template{} // few of them, for many entries
	for _, v := range g.Values {
		if values[v.Value] == nil {
			values[v.Value] = vars.Literal(v.Value)
		}
		l.Values = append(l.Values, values[v.Value])
	}
	if len(g.Proxy) > 0 {
		l.Proxies = &request.RealIP{Recursive: g.ProxyRecursive, Header: "x-forwarded-for"}
		for _, n := range g.Proxy {
			l.Proxies.From = append(l.Proxies.From, access.Net{Prefix: n.Prefix})
		}
	}
	if err := b.finish(l, g.Name, g.Source, ""); err != nil {
		return err
	}
	if g.Default != "" {
		l.Default = vars.Literal(g.Default)
	}
	return nil
}

// number is the number of a variable that the config defines.
func (b *builder) number(name string) int {
	id, ok := b.config.Variables.ID(name)
	if !ok {
		panic(fmt.Sprintf("worker: the config does not define $%s", name))
	}
	return int(id) - vars.NumIDs
}
