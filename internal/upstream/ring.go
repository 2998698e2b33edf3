// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package upstream

import (
	"encoding/binary"
	"hash/crc32"
	"slices"
	"sort"
	"strings"
)

// point is one place of a peer on the ring of consistent hashing.
type point struct {
	hash uint32
	peer *Peer
}

// pointsPerWeight is how many places a peer has on the ring for each unit of its weight.
const pointsPerWeight = 160

// newRing makes nginx's points, which are those of Cache::Memcached::Fast: a peer's next point is the CRC-32 of its address and the point before.
func newRing(peers []*Peer) []point {
	var ring []point
	for _, p := range peers {
		host, port := hostPort(p.Name)
		base := crc32.Update(0, crc32.IEEETable, append([]byte(host), 0))
		base = crc32.Update(base, crc32.IEEETable, []byte(port))
		var before [4]byte
		for range p.Weight * pointsPerWeight {
			hash := crc32.Update(base, crc32.IEEETable, before[:])
			ring = append(ring, point{hash, p})
			binary.LittleEndian.PutUint32(before[:], hash)
		}
	}
	slices.SortStableFunc(ring, func(a, b point) int {
		switch {
		case a.hash < b.hash:
			return -1
		case a.hash > b.hash:
			return 1
		}
		return 0
	})
	return slices.CompactFunc(ring, func(a, b point) bool { return a.hash == b.hash })
}

// hostPort splits a peer's name as nginx does for its points.
func hostPort(name string) (host, port string) {
	if path, ok := strings.CutPrefix(name, "unix:"); ok {
		return path, ""
	}
	if at := strings.LastIndexByte(name, ':'); at >= 0 && !strings.HasSuffix(name, "]") {
		return name[:at], name[at+1:]
	}
	return name, ""
}

// onRing chooses the peer of the first point behind the key's hash; when that one cannot be had, that of the next point.
func (g *Group) onRing(nowMs int64, tried *Tried, key []byte) *Peer {
	w := &tried.walk
	if !w.begun {
		hash := crc32.ChecksumIEEE(key)
		w.begun = true
		w.hash = uint32(sort.Search(len(g.ring), func(i int) bool { return g.ring[i].hash >= hash }))
	}
	for ; w.tries <= hashTries; w.tries++ {
		if p := g.ring[int(w.hash)%len(g.ring)].peer; p.try(nowMs, tried) {
			return p
		}
		w.hash++
	}
	return nil
}
