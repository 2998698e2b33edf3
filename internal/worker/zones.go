// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package worker

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"weir/conf"
	"weir/internal/conn"
	"weir/internal/ipc"
	"weir/internal/limitconn"
	"weir/internal/limitreq"
	"weir/internal/logfile"
	"weir/internal/peers"
	"weir/internal/request"
	"weir/internal/shm"
	"weir/internal/shmtx"
	"weir/internal/slots"
	"weir/internal/sys"
)

// zones are the limit zones of this worker.
type zones struct {
	byName  map[string]*request.Zone
	rates   map[string]*limitreq.Zone
	places  *limitconn.Zone            // of max_conns; nil: no origin has it
	serials map[int]*limitconn.Zone    // the older ones, by ipc.Zone.Serial
	byInode map[uint64]*limitconn.Zone // those in which this generation counts, by the number that all processes know them by
	inodes  map[*limitconn.Zone]uint64
	toldMs  map[string]int64 // when the master was told that a zone is damaged
}

// damagedMs is how often the master is told at most that a zone is damaged.
const damagedMs = 1000

// onDamaged asks the master to look at a zone, and to rebuild it.
func (w *worker) onDamaged(zone string) {
	now := w.clock.Ms()
	if told, ok := w.zones.toldMs[zone]; ok && now < told+damagedMs {
		return
	}
	w.zones.toldMs[zone] = now
	w.send(ipc.Message{Kind: ipc.Damaged, Text: zone})
}

// attachZones maps the zones of the manifest. The loop's thread becomes an owner of locks: if the worker is killed while it holds one, the
// kernel wakes a process that waits for it. It comes before the privileges go, since the lock kind "flock" opens the zones' files anew.
func (w *worker) attachZones() error {
	table, err := slots.Attach(w.manifest.Table)
	if err != nil {
		return err
	}
	w.slots = table
	w.zones = zones{byName: map[string]*request.Zone{}, serials: map[int]*limitconn.Zone{}, toldMs: map[string]int64{},
		rates:   map[string]*limitreq.Zone{},
		byInode: map[uint64]*limitconn.Zone{}, inodes: map[*limitconn.Zone]uint64{}}
	if w.owner, err = shmtx.NewOwner(); err != nil {
		return err
	}
	if w.origins, err = peers.Attach(w.manifest.Peers, w.owner, w.manifest.Slot); err != nil {
		return fmt.Errorf("upstreams: %w", err)
	}
	for i := range w.manifest.Zones {
		m := &w.manifest.Zones[i]
		switch m.Kind {
		case ipc.KindLimitConn:
		case ipc.KindMaxConns:
			if err := w.attachPlaces(m); err != nil {
				return fmt.Errorf("zone %q: %w", m.Name, err)
			}
			continue
		case ipc.KindLimitReq:
			z, err := limitreq.Attach(m.FD, w.owner)
			if err != nil {
				return fmt.Errorf("zone %q: %w", m.Name, err)
			}
			w.zones.rates[m.Name] = z
			continue
		default:
			return fmt.Errorf("manifest: zone %q is of the unknown kind %q", m.Name, m.Kind)
		}
		z, err := limitconn.Attach(m.FD, w.owner, w.manifest.Slot)
		if err != nil {
			return fmt.Errorf("zone %q: %w", m.Name, err)
		}
		z.OnCall = w.call
		inode, err := sys.Inode(m.FD)
		if err != nil {
			return fmt.Errorf("zone %q: %w", m.Name, err)
		}
		w.zones.byInode[inode], w.zones.inodes[z] = z, inode
		entry := w.zones.byName[m.Name]
		if entry == nil {
			entry = &request.Zone{}
			w.zones.byName[m.Name] = entry
		}
		if m.Older {
			entry.Older = append(entry.Older, z)
			w.zones.serials[m.Serial] = z
		} else {
			entry.Zone = z
		}
	}
	return nil
}

// makeGate puts the sockets that are shared with other workers behind accept_mutex, if the master has made one.
func (w *worker) makeGate() error {
	if w.manifest.AcceptMutex == 0 {
		return nil
	}
	segment, err := shm.Attach(w.manifest.AcceptMutex, ipc.KindAcceptMutex, 0)
	if err != nil {
		return fmt.Errorf("accept_mutex: %w", err)
	}
	mutex, err := shmtx.Open(segment, w.owner)
	if err != nil {
		return fmt.Errorf("accept_mutex: %w", err)
	}
	w.gate = conn.NewGate(mutex, int(w.config.AcceptMutexDelay.Milliseconds()), w.loop)
	w.loop.SetGate(w.gate)
	return nil
}

// attachPlaces maps the zone of max_conns. One of another size, in which an older generation counts, is left alone: its requests are
// over soon, and what they have in progress is not held against the new ones.
func (w *worker) attachPlaces(m *ipc.Zone) (err error) {
	if m.Older {
		sys.Close(m.FD)
		return nil
	}
	if w.zones.places, err = limitconn.Attach(m.FD, w.owner, w.manifest.Slot); err == nil {
		w.zones.places.OnCall = w.call
	}
	return err
}

// forget stops counting in an older zone. It stays mapped: requests in flight still have places in it to give back.
func (w *worker) forget(serial int) {
	old := w.zones.serials[serial]
	for _, z := range w.zones.byName {
		for i := range z.Older {
			if z.Older[i] == old {
				z.Older = append(z.Older[:i:i], z.Older[i+1:]...)
				break
			}
		}
	}
	delete(w.zones.serials, serial)
	delete(w.zones.byInode, w.zones.inodes[old])
}

// limits makes the limits of a location or a listening address; nil if there are none.
func (b *builder) limits(list []conf.LimitConn, bypass []conf.Network) (*request.Limits, error) {
	if len(list) == 0 {
		return nil, nil
	}
	l := &request.Limits{Bypass: make([]netip.Prefix, len(bypass))}
	for i, n := range bypass {
		l.Bypass[i] = n.Prefix
	}
	for _, c := range list {
		config := &b.config.HTTP.LimitConnZones[c.ZoneIndex]
		zone := b.zones.byName[c.Zone]
		if zone == nil || zone.Zone == nil {
			return nil, fmt.Errorf("manifest: no zone %q", c.Zone)
		}
		key, err := b.config.Variables.Compile(string(config.Key))
		if err != nil {
			return nil, err
		}
		limit := request.Limit{Zone: zone, Key: key, Max: uint32(c.Max), AllowFull: config.OnFull == conf.OnFullAllow,
			ByAddress: key.String() == "$binary_remote_addr"}
		if c.Queue != nil {
			l.Queued = true
			limit.QueueSize, limit.QueueMs = c.Queue.Size, c.Queue.Timeout.Milliseconds()
		}
		l.List = append(l.List, limit)
	}
	if l.Queued {
		slices.SortFunc(l.List, func(a, b request.Limit) int { return strings.Compare(a.Zone.Name(), b.Zone.Name()) })
	}
	return l, nil
}

// settingsLimits are limits with the settings that go with them.
func (b *builder) settingsLimits(c *conf.Settings) (*request.Limits, error) {
	l, err := b.limits(c.LimitConns, c.LimitConnBypass)
	if l != nil {
		l.Status, l.DryRun = c.LimitConnStatus, c.LimitConnDryRun
		l.LogLevel = logfile.Level(c.LimitConnLogLevel.Level())
	}
	return l, err
}

// listenLimits are the limits of a listening address. How they are logged, and whether they are a dry run, its default server says.
func (b *builder) listenLimits(c *conf.Listener) (*request.Limits, error) {
	l, err := b.limits(c.LimitConns, c.LimitConnBypass)
	if l != nil {
		s := &b.config.HTTP.Servers[c.Default]
		l.DryRun, l.LogLevel = s.LimitConnDryRun, logfile.Level(s.LimitConnLogLevel.Level())
	}
	return l, err
}
