// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import "weir/internal/vars"

// Lengths that a zone's header in shared memory has room for.
const (
	maxZoneName = 64
	maxZoneKey  = 256
)

// maxLimits is the longest limit_conn: a worker has room to ask under so many limits at once.
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
		at := k.entry(p, z.Name, i)
		switch _, ok := k.zones[z.Name]; {
		case ok:
			k.faultAt(at, "zone %s exists already", quote(z.Name))
		case k.spoilt(at.key("name")): // there is none: a fault already
		case !bareKey(z.Name) || len(z.Name) > maxZoneName:
			k.faultAt(at, "%s cannot be the name of a zone: 1 to %d letters, digits, \"_\" and \"-\"", quote(z.Name), maxZoneName)
		}
		switch key := at.key("key"); {
		case z.Key == "" && k.written(key):
			k.faultAt(key, "must not be empty: an empty key is not counted")
		case len(z.Key) > maxZoneKey:
			k.faultAt(key, "has at most %d bytes, not %d", maxZoneKey, len(z.Key))
		}
		k.zones[z.Name] = i
	}
}

// checkLimits checks a limit_conn and finds the zones that it names.
func (k *checker) checkLimits(p *path, limits []LimitConn) {
	if len(limits) > maxLimits {
		k.faultAt(p, "has at most %d limits, not %d", maxLimits, len(limits))
	}
	seen := map[string]bool{}
	for i := range limits {
		l := &limits[i]
		at := p.at(i).key("zone")
		index, ok := k.zones[l.Zone]
		switch {
		case !ok:
			k.faultAt(at, "no zone %s%s", quote(l.Zone), suggest(l.Zone, k.zoneNames()))
		case seen[l.Zone]:
			k.faultAt(at, "zone %s is in this list already", quote(l.Zone))
		}
		seen[l.Zone] = true
		l.ZoneIndex = index
	}
}

// checkListenLimits checks the limit_conn of a listen address: its zones' keys may name only what is known then.
func (k *checker) checkListenLimits(p *path, l *Listen) {
	p = p.key("limit_conn")
	k.checkLimits(p, l.LimitConns)
	for i := range l.LimitConns {
		index, ok := k.zones[l.LimitConns[i].Zone]
		if !ok {
			continue
		}
		key, err := vars.Compile(string(k.cfg.HTTP.LimitConnZones[index].Key), k.captures...)
		if err != nil { // a fault of the zone
			continue
		}
		if name, ok := key.Beyond(atAccept()...); ok {
			k.faultAt(p.at(i).key("zone"), "the key of zone %s has $%s, which is not known when a connection is accepted; only the addresses and ports of the client and the server are",
				quote(l.LimitConns[i].Zone), name)
		}
	}
}

func (k *checker) zoneNames() []string {
	names := make([]string, len(k.cfg.HTTP.LimitConnZones))
	for i := range names {
		names[i] = k.cfg.HTTP.LimitConnZones[i].Name
	}
	return names
}
