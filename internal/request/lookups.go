// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"net/netip"

	"weir/internal/logfile"
	"weir/internal/lookup"
	"weir/internal/vars"
)

// Lookup is how a variable of map, geo or split_clients gets its value: worked out when it is asked for first, then kept for the request.
type Lookup struct {
	Source *vars.Template
	// Exactly one of these is set.
	Map   *lookup.Map
	Geo   *lookup.Geo
	Split *lookup.Split
	// Values are those of the entries, by number, and Default that of everything else.
	Values  []*vars.Template
	Default *vars.Template
	// Volatile says that it is worked out each time.
	Volatile bool
	// OfPeer says, of Geo, that the address is the client's, which Proxies may say in X-Forwarded-For.
	OfPeer  bool
	Proxies *RealIP // may be nil
}

// appendLooked appends the value of a variable that is looked up.
func (r *Request) appendLooked(dst []byte, number int, l *Lookup) ([]byte, bool) {
	v := &r.values[number]
	if v.busy {
		r.logAt(logfile.LevelError, "cycle while evaluating variable \""+r.engine.Defined[number].Name+"\"")
		return dst, false
	}
	v.busy, r.valued = true, true
	start := len(dst)
	dst, t := r.lookUp(dst, l)
	if t != nil {
		dst = t.Append(dst, r)
	}
	v.busy = false
	if !l.Volatile {
		if text := r.arena.Copy(dst[start:]); text != nil {
			r.setValue(number, text)
		}
	}
	return dst, true
}

// lookUp finds the value's template; nil: it is empty. What follows dst is memory for the key.
func (r *Request) lookUp(dst []byte, l *Lookup) ([]byte, *vars.Template) {
	start, value := len(dst), lookup.Default
	if l.Geo != nil && l.OfPeer {
		value = l.Geo.Find(r.geoAddress(l).Addr())
	} else {
		dst = l.Source.Append(dst, r)
		key := dst[start:]
		switch {
		case l.Geo != nil:
			addr, _ := netip.ParseAddr(string(key)) // what is none is looked up too
			value = l.Geo.Find(addr)
		case l.Split != nil:
			value = l.Split.Find(key)
		default:
			found, pattern := l.Map.Find(dst[len(dst):], key)
			if value = found; pattern != nil && pattern.Groups() > 0 {
				r.matched(pattern, key)
			}
		}
		dst = dst[:start]
	}
	if value == lookup.Default {
		return dst, l.Default
	}
	return dst, l.Values[value]
}

// geoAddress is the client's address, or the one that it speaks for.
func (r *Request) geoAddress(l *Lookup) netip.AddrPort {
	peer := r.client.Peer
	if l.Proxies != nil && l.Proxies.From.Has(peer.Addr()) {
		if found, ok := r.forwarded(l.Proxies, peer); ok {
			return found
		}
	}
	return peer
}
