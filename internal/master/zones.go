// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"fmt"
	"net"
	"slices"
	"sync"

	"go.uber.org/zap"

	"weir/conf"
	"weir/internal/ipc"
	"weir/internal/limitconn"
	"weir/internal/logfile"
	"weir/internal/shm"
	"weir/internal/shmtx"
)

// zone is one zone of shared memory, open in the master as long as a generation counts in it.
type zone struct {
	content
	serial  int // ipc.Zone.Serial; 0: not among those that are open
	options zoneOptions
	owner   *shmtx.Owner // of its lock: who waits for that of another zone is not in the way

	users int  // under zones.mu: who looks into it at present, outside of the loop
	left  bool // under zones.mu: no generation counts in it; closed when the last user is done

	inspection sync.Mutex // held by whoever checks it
	warned     bool       // under inspection: it has been said that it is nearly full
}

// zones are those that the master has open. The loop opens and leaves them; others use them between use and done.
type zones struct {
	serial int // of the last one opened

	mu    sync.Mutex
	open  []*zone
	spare []*shmtx.Owner // of zones that are closed: the kernel knows an owner's memory for as long as the process lives

	onCall func(slot int) // wakes a worker: see limitconn.Zone.OnCall

	closing  sync.WaitGroup // goroutines that close zones
	complain func(error)    // about a zone that could not be closed
}

// create makes a new zone, that nobody sees before add. To reserve some GB takes seconds: it is not for the loop.
func (s *zones) create(o zoneOptions) (*zone, error) {
	owner, err := s.takeOwner()
	if err != nil {
		return nil, err
	}
	z := &zone{options: o, owner: owner}
	if z.content, err = createContent(&o, owner); err != nil {
		s.giveOwner(owner)
		return nil, err
	}
	s.listen(z.content)
	return z, nil
}

// listen has workers woken when the master gives back a place that one of their requests waits for.
func (s *zones) listen(c content) {
	if c, ok := c.(connections); ok {
		c.OnCall = s.onCall
	}
}

func (s *zones) takeOwner() (*shmtx.Owner, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.spare); n > 0 {
		owner := s.spare[n-1]
		s.spare = s.spare[:n-1]
		return owner, nil
	}
	return shmtx.NewSharedOwner()
}

func (s *zones) giveOwner(owner *shmtx.Owner) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spare = append(s.spare, owner)
}

// add puts a new zone among those that are open. The loop calls it.
func (s *zones) add(z *zone) {
	s.serial++
	z.serial = s.serial
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = append(s.open, z)
}

// close closes zones that nobody uses, in another goroutine: giving some GB back takes half a second.
func (s *zones) close(list ...*zone) {
	s.closing.Go(func() {
		for _, z := range list {
			if err := z.Close(); err != nil {
				s.complain(err)
			}
			s.giveOwner(z.owner)
		}
	})
}

// use returns all zones; they stay open until done.
func (s *zones) use() []*zone {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, z := range s.open {
		z.users++
	}
	return slices.Clone(s.open)
}

// ofKind is the only zone of a kind of which there is one; nil: there is none.
func (s *zones) ofKind(kind string) *zone {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, z := range s.open {
		if z.options.kind == kind {
			return z
		}
	}
	return nil
}

// done ends the use of zones.
func (s *zones) done(used []*zone) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, z := range used {
		z.users--
		if z.left && z.users == 0 {
			s.close(z)
		}
	}
}

// retain leaves the zones that keep refuses, and returns them. What nobody looks into is closed.
func (s *zones) retain(keep func(*zone) bool) (left []*zone) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = slices.DeleteFunc(s.open, func(z *zone) bool {
		if keep(z) {
			return false
		}
		left = append(left, z)
		z.left = true
		if z.users == 0 {
			s.close(z)
		}
		return true
	})
	return left
}

// counting is a zone as a generation has it.
type counting struct {
	zone  *zone
	older bool // ipc.Zone.Older
}

// zone is the generation's zone of that name, nil when its config has none. No generation has no zone.
func (g *generation) zone(name string) *zone {
	if g == nil {
		return nil
	}
	for _, c := range g.zones {
		if !c.older && c.zone.options.name == name {
			return c.zone
		}
	}
	return nil
}

// countsIn says whether the generation's workers count in the zone, as the one of its name or as an older one.
func (g *generation) countsIn(z *zone) bool {
	return slices.ContainsFunc(g.zones, func(c counting) bool { return c.zone == z })
}

// zonesOf lists a generation's zones for a manifest.
func (g *generation) zonesOf(inherit func(fd int) int) []ipc.Zone {
	var list []ipc.Zone
	for _, c := range g.zones {
		list = append(list, ipc.Zone{
			Name: c.zone.options.name, Kind: c.zone.options.kind, Serial: c.zone.serial, Older: c.older, FD: inherit(c.zone.FD()),
		})
	}
	return list
}

// zoneManifest lists zones for a new master.
func zoneManifest(list []*zone, inherit func(fd int) int) []ipc.Zone {
	var all []ipc.Zone
	for _, z := range list {
		all = append(all, ipc.Zone{Name: z.options.name, Kind: z.options.kind, Serial: z.serial, FD: inherit(z.FD())})
	}
	return all
}

// maxConnsName is the zone of max_conns. No zone of a config can have its name.
const maxConnsName = "upstream max_conns"

// wantedZones are the zones that a config asks for.
func wantedZones(config *conf.Config) []zoneOptions {
	var list []zoneOptions
	mutex := mutexOf(config)
	for _, z := range config.HTTP.LimitConnZones {
		list = append(list, zoneOptions{ipc.KindLimitConn, z.Name, string(z.Key), int64(z.Size), mutex})
	}
	for _, z := range config.HTTP.LimitReqZones {
		list = append(list, zoneOptions{ipc.KindLimitReq, z.Name, string(z.Key), int64(z.Size), mutex})
	}
	if size := config.MaxConnsBytes(); size > 0 {
		list = append(list, zoneOptions{ipc.KindMaxConns, maxConnsName, limitconn.GroupKey, int64(size), mutex})
	}
	return list
}

// mutexOf is the kind of lock that a config asks for.
func mutexOf(config *conf.Config) shmtx.Kind {
	if config.SharedMutex == conf.MutexFlock {
		return shmtx.Flock
	}
	return shmtx.Atomic
}

// openAcceptMutex makes the lock of accept_mutex, if the config asks for it and there is more than one to compete for it. Each generation has its own: while two
// accept, during a reload, a worker of each may be awake.
func openAcceptMutex(g *generation) (err error) {
	if g.config.AcceptMutex && len(g.places) > 1 {
		g.accept, err = shm.Create(shm.Options{Name: "weir", Kind: ipc.KindAcceptMutex, Features: shmtx.Features(mutexOf(g.config)), SizeBytes: shm.MinBytes})
	}
	return err
}

// closeAcceptMutex closes it when no worker is left.
func (m *master) closeAcceptMutex(g *generation) {
	if g.accept == nil {
		return
	}
	if err := g.accept.Close(); err != nil {
		m.log.Alert("closing accept_mutex", zap.Error(err))
	}
}

// openZones gives a generation its zones: those of the present one that it can go on with, and those that were made for it.
func (m *master) openZones(g *generation, made []*zone) {
	for _, o := range wantedZones(g.config) {
		present := m.presentZone(&o)
		z := present
		if present == nil || !present.matches(&o) {
			z, made = made[0], made[1:]
			m.zones.add(z)
			m.zoneNews(g, z, present)
		}
		g.zones = append(g.zones, counting{zone: z})
		m.addOlder(g, z)
	}
}

// addOlder adds the zones with the same name and key in which other generations count and z is unknown: while these live, only
// such a zone holds the connections of all.
func (m *master) addOlder(g *generation, z *zone) {
	for _, other := range m.countingGenerations() {
		old := other.zone(z.options.name)
		if old != nil && z.options.kind != ipc.KindLimitReq && old.options.kind == z.options.kind && old.options.key == z.options.key && !other.countsIn(z) && !g.countsIn(old) {
			g.zones = append(g.zones, counting{zone: old, older: true})
		}
	}
}

// news is a line for the log that waits for its time: about a generation, until it serves.
type news struct {
	level   logfile.Level
	message string
	fields  []zap.Field
}

// zoneNews notes why a zone was made, in place of which one.
func (m *master) zoneNews(g *generation, z, before *zone) {
	o := &z.options
	n := news{level: logfile.LevelNotice, message: fmt.Sprintf("zone %q", o.name), fields: []zap.Field{
		zap.Int64("size", z.SizeBytes()), zap.String("key", o.key), zap.Stringer("shared_mutex", o.mutex),
		zap.Int("ipv4_keys", o.capacity(net.IPv4len)),
	}}
	switch {
	case before == nil:
	case before.options.key != o.key || before.options.kind != o.kind:
		n.level = logfile.LevelWarn
		n.message += " has another key: it starts empty, and does not know what the generations before have counted"
		n.fields = append(n.fields, zap.String("key_before", before.options.key))
	case o.kind == ipc.KindLimitReq:
		n.message += " has another size or lock: it starts empty"
	default:
		n.message += " has another size or lock: the generations before go on with the old zone, and until they have left, connections are counted in both"
		n.fields = append(n.fields, zap.Int64("size_before", before.SizeBytes()), zap.Stringer("shared_mutex_before", before.options.mutex))
	}
	g.news = append(g.news, n)
}

// tellNews says what there was to say about a generation that serves now.
func (m *master) tellNews(g *generation) {
	for _, n := range g.news {
		m.log.Log(n.level, n.message, n.fields...)
	}
	g.news = nil
}

// leaveZones lets go of what no generation needs any more: of older zones that no generation has as its own, and of zones
// that nobody counts in.
func (m *master) leaveZones() {
	for _, g := range m.live {
		g.zones = slices.DeleteFunc(g.zones, func(c counting) bool {
			if !c.older || m.isOwn(c.zone) {
				return false
			}
			for _, w := range g.workers {
				if w.state < workerStopping && !w.hungUp {
					m.tell(w, ipc.Message{Kind: ipc.Forget, Serial: c.zone.serial}, 0)
				}
			}
			return true
		})
	}
	left := m.zones.retain(func(z *zone) bool {
		return z.options.kind == ipc.KindMaxConns || m.current.zone(z.options.name) == z || // it may have drained
			slices.ContainsFunc(m.countingGenerations(), func(g *generation) bool { return g.countsIn(z) })
	})
	for _, z := range left {
		m.log.Info(fmt.Sprintf("zone %q is closed: no generation counts in it", z.options.name), zap.Int64("size", z.options.sizeBytes))
	}
	m.retainPeers()
}

// isOwn says whether a live generation has the zone as its own.
func (m *master) isOwn(z *zone) bool {
	return slices.ContainsFunc(m.countingGenerations(), func(g *generation) bool { return g.zone(z.options.name) == z })
}
