// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"weir/conf"
	"weir/internal/ipc"
	"weir/internal/logfile"
	"weir/internal/peers"
	"weir/internal/quota"
	"weir/internal/slots"
)

// keeper looks after the slots and the zones. It takes the zones' locks, which a stopped worker can keep for as long as it is
// stopped, and so it works in goroutines of its own: one gives back what dead workers held, the other checks. The loop never waits for
// them; a slot is not used again before the first of them has freed it.
type keeper struct {
	zones  *zones
	table  *slots.Table
	retire func(slot int) // ends the counting of a slot's dead worker
	quota  *quota.Zone
	limit  atomic.Int64 // what the quota's is to be
	peers  *peers.Zone
	// keepPeers are the origins that are not to be forgotten, when that has changed.
	keepPeers atomic.Pointer[peers.Keep]
	peersMu   sync.Mutex // held while origins come or go
	// config is that whose orders saveOrders writes; nil: another master does.
	config  atomic.Pointer[conf.Config]
	saveDue atomic.Bool // what it is to write may have changed
	saving  sync.Mutex

	deaths   chan struct{} // has one when a slot may be dead
	looks    chan struct{} // has one when zones are to be looked at before their time
	quit     chan struct{}
	gone     chan struct{}  // closed when nobody works any more
	work     sync.WaitGroup // the two goroutines, and those of the control socket that use zones
	stopping bool           // the loop's: nobody may begin to use zones

	loop chan<- func()                             // master.inspect
	say  func(logfile.Level, string, ...zap.Field) // logs, in the loop
}

// lookInterval is how often zones are looked at: a zone that a worker has found damaged, or left damaged, waits no longer.
const lookInterval = time.Second

// The part of a zone's pages in use at which it is said to be nearly full, and below which it may be said again.
const (
	nearlyFull = 0.8
	halfFull   = 0.5
)

// startKeeper begins the work on the zones.
func startKeeper(z *zones, q *quota.Zone, p *peers.Zone, table *slots.Table, retire func(slot int), loop chan<- func(), say func(logfile.Level, string, ...zap.Field)) *keeper {
	k := &keeper{
		zones: z, quota: q, peers: p, table: table, retire: retire, loop: loop, say: say,
		deaths: make(chan struct{}, 1), looks: make(chan struct{}, 1),
		quit: make(chan struct{}), gone: make(chan struct{}),
	}
	k.limit.Store(q.Status().Limit)
	k.work.Go(k.reapDead)
	k.work.Go(k.lookAround)
	return k
}

// stop ends the work when what is under way has been done, and does meanwhile what it asks the loop for. No worker
// lives any more, so that no lock is held for long.
func (k *keeper) stop(loop <-chan func()) {
	if k == nil {
		return
	}
	k.stopping = true
	close(k.quit)
	go func() {
		k.work.Wait()
		close(k.gone)
	}()
	for {
		select {
		case f := <-loop:
			f()
		case <-k.gone:
			return
		}
	}
}

// log has the loop log, and returns when the line is written. It is not for the loop itself, which would wait for itself.
func (k *keeper) log(level logfile.Level, message string, fields ...zap.Field) {
	written := make(chan struct{})
	line := func() {
		k.say(level, message, fields...)
		close(written)
	}
	select {
	case k.loop <- line:
		<-written
	case <-k.gone:
	}
}

// wake gives a goroutine something to do, which it does once for all who ask meanwhile.
func wake(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// onDeath has the slots of workers that were found dead freed. The loop calls it.
func (k *keeper) onDeath() { wake(k.deaths) }

// reapDead frees slots until the keeper stops, and then what is left.
func (k *keeper) reapDead() {
	for {
		select {
		case <-k.deaths:
			k.reap()
		case <-k.quit:
			k.reap()
			return
		}
	}
}

// reap gives back what the workers of dead slots held, in every zone, and frees the slots. A slot that could not be freed stays
// dead, and is tried again when the next worker dies or starts, and once a second.
func (k *keeper) reap() {
	used := k.zones.use()
	var lines []news // for afterwards: the loop may be busy
	freed, err := k.table.Reap(func(slot int) error {
		k.retire(slot)
		for _, z := range used {
			line, err := k.reapZone(z, slot)
			if err != nil {
				return err
			}
			lines = append(lines, line...)
		}
		line, err := k.reapQuota(slot)
		lines = append(lines, line...)
		if err != nil {
			return err
		}
		line, err = k.reapPeers(slot)
		lines = append(lines, line...)
		return err
	})
	k.zones.done(used)
	for _, l := range lines {
		k.log(l.level, l.message, l.fields...)
	}
	if err != nil {
		wake(k.looks)
		k.log(logAlert, "a slot stays out of use", zap.Error(err))
	}
	if len(freed) > 0 {
		wake(k.looks)
	}
}

// reapZone gives back what a dead worker held in a zone, and returns what is to be logged about it.
func (k *keeper) reapZone(z *zone, slot int) ([]news, error) {
	began := time.Now()
	connections, err := z.reap(slot)
	if errDamaged(err) {
		k.check(z)
		var more int
		more, err = z.reap(slot)
		connections += more
	}
	if connections == 0 {
		return nil, err
	}
	return []news{{
		logfile.LevelNotice, fmt.Sprintf("zone %q: the connections of a dead worker are given back", z.options.name),
		[]zap.Field{zap.Int("slot", slot), zap.Int("connections", connections), zap.Duration("took", time.Since(began))},
	}}, err
}

// lookAround looks at the zones when somebody asks for it, and at intervals.
func (k *keeper) lookAround() {
	ticks := time.NewTicker(lookInterval)
	defer ticks.Stop()
	for {
		select {
		case <-k.looks:
		case <-ticks.C:
			// Workers that outlive their master are nobody's children here: their end is only seen by looking.
			if k.table.OthersAlive() && k.table.Sweep() > 0 || k.anyDead() {
				wake(k.deaths)
			}
		case <-k.quit:
			return
		}
		k.lookAtQuota()
		k.lookAtPeers()
		k.lookAtOrders()
		used := k.zones.use()
		for _, z := range used {
			k.look(z)
		}
		k.zones.done(used)
	}
}

func (k *keeper) anyDead() bool {
	for _, s := range k.table.All() {
		if s.State == slots.Dead {
			return true
		}
	}
	return false
}

// look checks a zone if something has happened to it, and warns when it is nearly full.
func (k *keeper) look(z *zone) {
	s, _ := z.numbers(false)
	if s.checkDue {
		k.check(z)
	}
	z.inspection.Lock()
	defer z.inspection.Unlock()
	switch {
	case z.options.kind == ipc.KindLimitReq: // full is what it is meant to be: the key used longest ago leaves
	case s.usedPart >= nearlyFull && !z.warned:
		z.warned = true
		k.log(logfile.LevelWarn, fmt.Sprintf("zone %q is nearly full: give it a larger size", z.options.name),
			zap.Int("used_percent", int(100*s.usedPart)), zap.Int("keys", s.Keys), zap.Int64("size", z.SizeBytes()))
	case s.usedPart < halfFull:
		z.warned = false
	}
}

// ZoneCheck is the answer to POST /zones/NAME/check.
type ZoneCheck struct {
	OK      bool     `json:"ok"` // no fault was found
	Zone    string   `json:"zone"`
	Faults  []string `json:"faults,omitempty"`  // the first ones
	Rebuilt bool     `json:"rebuilt,omitempty"` // what was left after them is sound
	Keys    int      `json:"keys"`
	TookMs  int64    `json:"took_ms"`
}

// faultsMax is how many of a zone's faults are told: one broken link makes many.
const faultsMax = 8

// check walks a zone and says what it has found; one with faults is rebuilt from the shares of the live workers.
func (k *keeper) check(z *zone) ZoneCheck {
	z.inspection.Lock()
	defer z.inspection.Unlock()
	began := time.Now()
	name := z.options.name
	before, _ := z.numbers(false)
	faults := z.Check()
	s, _ := z.numbers(false)
	result := ZoneCheck{OK: len(faults) == 0, Zone: name}
	for _, fault := range faults[:min(len(faults), faultsMax)] {
		result.Faults = append(result.Faults, fault.Error())
		k.log(logAlert, fmt.Sprintf("zone %q: fault", name), zap.Error(fault))
	}
	switch {
	case result.OK:
		k.log(logfile.LevelNotice, fmt.Sprintf("zone %q is checked: sound", name), zap.Int("keys", s.Keys),
			zap.Uint64("recoveries", before.lock.Recoveries), zap.Duration("took", time.Since(began)))
	case s.Sound: // it could not be looked at: no memory for the copy
		k.log(logfile.LevelError, fmt.Sprintf("zone %q could not be checked", name))
	default:
		result.Rebuilt = k.rebuild(z, len(faults))
		s, _ = z.numbers(false)
	}
	result.Keys, result.TookMs = s.Keys, time.Since(began).Milliseconds()
	return result
}

// rebuild makes a sound zone of a damaged one, and says whether that went well.
func (k *keeper) rebuild(z *zone, faults int) bool {
	began := time.Now()
	name := z.options.name
	k.log(logAlert, fmt.Sprintf("zone %q is damaged: it is made anew from what can be saved", name), zap.Int("faults", faults))
	saved, err := z.rebuild(k.table.Alive)
	if err == nil {
		err = errors.Join(z.Check()...)
	}
	if err != nil {
		k.log(logfile.LevelEmerg, fmt.Sprintf("zone %q could not be rebuilt: a restart makes a new one", name), zap.Error(err))
		return false
	}
	k.log(logAlert, fmt.Sprintf("zone %q is rebuilt and sound", name), append(saved, zap.Duration("took", time.Since(began)))...)
	return true
}

// complain logs that a zone could not be closed.
func (k *keeper) complain(err error) { k.log(logAlert, "closing a zone", zap.Error(err)) }
