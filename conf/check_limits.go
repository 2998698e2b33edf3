// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	"maps"
	"slices"

	"weir/internal/vars"
)

// Lengths that a zone's header in shared memory has room for.
const (
	maxZoneName = 64
	maxZoneKey  = 256
)

// maxLimits is the longest limit_conn or limit_req: a worker has room to ask under so many limits at once.
const maxLimits = 16

// atAccept are the variables that are known when a connection is accepted, before a byte of it is read.
func atAccept() []vars.ID {
	return []vars.ID{
		vars.BinaryRemoteAddr, vars.BinaryRemoteAddrPrefix, vars.RemoteAddr, vars.RemotePort, vars.ServerAddr, vars.ServerPort,
	}
}

func (k *checker) checkZones(p *path) {
	for i := range k.cfg.HTTP.LimitConnZones {
		z := &k.cfg.HTTP.LimitConnZones[i]
		k.checkZone(k.entry(p, z.Name, i), z.Name, z.Key)
		k.zones[z.Name] = i
	}
}

func (k *checker) checkRateZones(p *path) {
	for i := range k.cfg.HTTP.LimitReqZones {
		z := &k.cfg.HTTP.LimitReqZones[i]
		k.checkZone(k.entry(p, z.Name, i), z.Name, z.Key)
		k.rates[z.Name] = i
	}
}

// checkZone checks what zones of all kinds have.
func (k *checker) checkZone(at *path, name string, key Template) {
	_, counts := k.zones[name]
	_, rates := k.rates[name]
	switch {
	case counts || rates:
		k.faultAt(at, "zone %s exists already", quote(name))
	case k.spoilt(at.key("name")): // there is none: a fault already
	case !bareKey(name) || len(name) > maxZoneName:
		k.faultAt(at, "%s cannot be the name of a zone: 1 to %d letters, digits, \"_\" and \"-\"", quote(name), maxZoneName)
	}
	switch at := at.key("key"); {
	case key == "" && k.written(at):
		k.faultAt(at, "must not be empty: an empty key is not counted")
	case len(key) > maxZoneKey:
		k.faultAt(at, "has at most %d bytes, not %d", maxZoneKey, len(key))
	}
}

// checkLimits checks a limit_conn and finds the zones that it names.
func (k *checker) checkLimits(p *path, limits []LimitConn) {
	seen := map[string]bool{}
	for i := range limits {
		l := &limits[i]
		l.ZoneIndex = k.checkNamed(p, i, l.Zone, k.zones, seen)
	}
}

// checkRates checks a limit_req and finds the zones that it names.
func (k *checker) checkRates(p *path, limits []LimitReq) {
	seen := map[string]bool{}
	for i := range limits {
		l := &limits[i]
		l.ZoneIndex = k.checkNamed(p, i, l.Zone, k.rates, seen)
		if l.NoDelay && l.Delay > 0 {
			k.faultAt(p.at(i).key("delay"), "says the contrary of nodelay")
		}
	}
}

// checkNamed finds the zone that the i-th limit of a list names, and gives its index.
func (k *checker) checkNamed(p *path, i int, zone string, zones map[string]int, seen map[string]bool) int {
	if i == maxLimits {
		k.faultAt(p, "has at most %d limits", maxLimits)
	}
	at := p.at(i).key("zone")
	index, ok := zones[zone]
	switch {
	case !ok:
		k.faultAt(at, "no zone %s%s", quote(zone), suggest(zone, slices.Sorted(maps.Keys(zones))))
	case seen[zone]:
		k.faultAt(at, "zone %s is in this list already", quote(zone))
	}
	seen[zone] = true
	return index
}

// checkListenLimits checks the limit_conn of a listen address: its zones' keys may name only what is known then.
func (k *checker) checkListenLimits(p *path, l *Listen) {
	p = p.key("limit_conn")
	k.checkLimits(p, l.LimitConns)
	for i := range l.LimitConns {
		if l.LimitConns[i].Queue != nil {
			k.faultAt(p.at(i).key("queue"), "is for requests: a connection over the limit of a listen address is closed at once")
		}
		index, ok := k.zones[l.LimitConns[i].Zone]
		if !ok {
			continue
		}
		key, err := k.variables.Compile(string(k.cfg.HTTP.LimitConnZones[index].Key))
		if err != nil { // a fault of the zone
			continue
		}
		if name, ok := key.Beyond(atAccept()...); ok {
			k.faultAt(p.at(i).key("zone"), "the key of zone %s has $%s, which is not known when a connection is accepted; only the addresses and ports of the client and the server are",
				quote(l.LimitConns[i].Zone), name)
		}
	}
}
