// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"errors"

	"go.uber.org/zap"

	"weir/conf"
	"weir/internal/logfile"
	"weir/internal/peers"
	"weir/internal/sight"
	"weir/internal/sys"
)

// What all workers know of the origins: one zone (package peers) for as long as the master lives, which an upgrade's new master goes on with.

// openPeers makes the zone.
func (m *master) openPeers(config *conf.Config) error {
	owner, err := m.zones.takeOwner()
	if err != nil {
		return err
	}
	m.freshPeers = true
	m.peers, err = peers.Create(m.table.Slots(), mutexOf(config), owner)
	return err
}

// adoptPeers goes on with the zone of an old master.
func (m *master) adoptPeers(fd int) error {
	owner, err := m.zones.takeOwner()
	if err != nil {
		return err
	}
	m.peers, err = peers.Attach(fd, owner, peers.NoSlot)
	return err
}

// nowMs is the time as package peers has it.
func nowMs() int64 { return sys.MonotonicNs() / 1e6 }

// goneMs is how long an origin to which a host's name has led is remembered when no worker has it any more: it may come back.
const goneMs = 3_600_000

// retainPeers has what is known of origins forgotten that no generation has any more. It returns at once: the zone's lock is not for the loop.
func (m *master) retainPeers() {
	if m.change != nil || m.successor != nil || m.predecessor != nil && len(m.predecessor.generations) > 0 {
		return // there is about to be another config, or not all are known here
	}
	var keep peers.Keep
	for _, g := range append([]*generation{m.current}, m.live...) { // the present one may have drained
		if g == nil {
			continue
		}
		keep.Names = append(keep.Names, sight.PeerNames(g.config)...)
		for i := range g.config.Groups {
			if u := &g.config.Groups[i]; sight.Named(u) { // workers have found these
				keep.Groups = append(keep.Groups, u.Name)
			}
		}
	}
	keep.SeenSinceMs = nowMs() - goneMs
	m.keeper.keepPeers.Store(&keep)
	wake(m.keeper.looks)
}

// registerPeers makes room for the origins of a config. It waits for the zone's lock, and is not for the loop.
func (k *keeper) registerPeers(list []peers.Name) error {
	k.peersMu.Lock()
	defer k.peersMu.Unlock()
	k.forgetPeers()
	return k.peers.Register(list, nowMs())
}

// forgetPeers does what retainPeers has asked for. The caller has k.peersMu: what is asked for knows nothing of origins that are registered after it.
func (k *keeper) forgetPeers() {
	if keep := k.keepPeers.Swap(nil); keep != nil {
		k.peers.Retain(*keep)
		k.saveDue.Store(true)
	}
}

// lookAtPeers forgets origins that have left, and checks the zone if something has happened to it.
func (k *keeper) lookAtPeers() {
	k.peersMu.Lock()
	k.forgetPeers()
	k.peersMu.Unlock()
	if k.peers.CheckDue() {
		k.checkPeers()
	}
}

// checkPeers checks the zone, and adds up what the living workers have in progress anew if it is not what it says.
func (k *keeper) checkPeers() {
	faults := k.peers.Check()
	if len(faults) == 0 {
		return
	}
	for _, fault := range faults[:min(len(faults), faultsMax)] {
		k.log(logAlert, "upstreams: fault", zap.Error(fault))
	}
	lost := k.peers.Rebuild(k.table.Alive)
	k.log(logAlert, "the requests in progress at origins are counted again", zap.Int("lost", lost))
}

// reapPeers gives back what a dead worker had in progress.
func (k *keeper) reapPeers(slot int) ([]news, error) {
	requests, err := k.peers.Reap(slot)
	if errors.Is(err, peers.ErrDamaged) {
		k.checkPeers()
		var more int
		more, err = k.peers.Reap(slot)
		requests += more
	}
	if requests == 0 {
		return nil, err
	}
	return []news{{logfile.LevelNotice, "upstreams: the requests of a dead worker are given back", []zap.Field{
		zap.Int("slot", slot), zap.Int("requests", requests)}}}, err
}
