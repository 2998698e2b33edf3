// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package worker

import (
	"time"

	"go.uber.org/zap"

	"weir/conf"
	"weir/internal/logfile"
	"weir/internal/peers"
	"weir/internal/sight"
	"weir/internal/upstream"
	"weir/internal/vars"
)

// sharedBy is the zone in which all workers share what they know of a group's origins; nil for a group that only this worker has.
func (w *worker) sharedBy(c *conf.Upstream) *peers.Zone {
	if sight.Shared(c) {
		return w.origins
	}
	return nil
}

// sticky makes what binds requests to peers; nil: nothing does.
func (b *builder) sticky(c *conf.Sticky) (*upstream.Sticky, error) {
	if c == nil {
		return nil, nil
	}
	s := &upstream.Sticky{
		Cookie: c.Cookie, ExpiresSec: int64(time.Duration(c.Expires) / time.Second), Path: c.Path, HTTPOnly: c.HTTPOnly, Secure: c.Secure,
	}
	if c.Expires == conf.CookieMax {
		s.ExpiresSec = upstream.CookieMax
	}
	var err error
	if s.Routes, err = b.compileAll(c.Route); err != nil {
		return nil, err
	}
	for _, x := range []struct {
		to   **vars.Template
		text conf.Template
	}{{&s.Domain, c.Domain}, {&s.SameSite, c.SameSite}} {
		if x.text == "" {
			continue
		}
		t, err := b.compile(string(x.text))
		if err != nil {
			return nil, err
		}
		*x.to = t
	}
	return s, nil
}

// share gives a group's peers what all workers know of them. The master has made room for those that the config names; those that a host's name leads to
// are new to the first worker that looks the name up. One for which there is no room is known to this worker only.
func (w *worker) share(zone *peers.Zone, group string, list []upstream.PeerOptions) {
	if zone == nil {
		return
	}
	names := make([]peers.Name, len(list))
	missing := false
	seen := map[string]int{}
	for i := range list {
		address := list[i].Name
		names[i] = peers.Name{Group: group, Address: address, Nth: seen[address]}
		seen[address]++
		var ok bool
		list[i].Shared, ok = zone.Find(names[i])
		missing = missing || !ok
	}
	if !missing {
		return
	}
	if err := zone.Register(names, w.clock.SharedMs()); err != nil {
		w.log.Limited("origins", logfile.LevelError, "origins are known to one worker only", zap.String("upstream", group), zap.Error(err))
	}
	for i := range list {
		list[i].Shared, _ = zone.Find(names[i])
	}
}
