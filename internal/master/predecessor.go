// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"go.uber.org/zap"

	"weir/conf"
	"weir/internal/ipc"
	"weir/internal/slots"
	"weir/internal/stats"
	"weir/internal/sys"
)

// predecessor is the old master of an upgrade, in the new one. Until it has said TakeOver, or has ended, this process decides nothing, and nothing of the old one
// has changed.
//
//	born -> trying (start, as any) -> proved (every worker has answered a request) -> TakeOver, or the old one is gone -> serving
//	            '- any failure: Failed, and this process leaves; its workers that are ready may have clients, and finish
type predecessor struct {
	*peer
	manifest *ipc.Manifest
	proved   bool // Ready has been said
	taken    bool // this process is the master now
	leaving  bool // the old one leaves for good
	gone     bool // it has ended

	holders map[int][]ipc.Holder // by process: what held the old master's workers when it was asked last
	heldAt  time.Time

	generations []*generation // of the old master, for their zones; without workers
	files       []ownFile     // of unix sockets that the old master listens on and this one does not: they go with it
}

// findPredecessor reads what an old master has left for this process; nil when this is no upgrade.
func findPredecessor() (*predecessor, error) {
	format := os.Getenv(ipc.UpgradeEnv)
	if format == "" {
		return nil, nil
	}
	os.Unsetenv(ipc.UpgradeEnv)
	if n, err := strconv.Atoi(format); err == nil && n != ipc.SuccessionFormat {
		return nil, (&ipc.Succession{Format: n}).Check()
	}
	manifest, err := ipc.ReadManifest(ipc.ManifestFD)
	if err != nil {
		return nil, fmt.Errorf("%s is set, but this process was not started by a running weir: %w", ipc.UpgradeEnv, err)
	}
	sys.Close(ipc.ManifestFD)
	p := &predecessor{peer: newPeer(manifest.MasterPID, ipc.NewChannel(manifest.Channel)), manifest: manifest}
	switch {
	case manifest.Succession == nil:
		err = fmt.Errorf("manifest: it is that of a worker")
	default:
		err = manifest.Succession.Check()
	}
	if err == nil {
		err = manifest.Check()
	}
	if err != nil {
		p.tellFailure(err)
	}
	return p, err
}

// undecided says whether the old master is still the master. It is not when there is none.
func (p *predecessor) undecided() bool { return p != nil && !p.taken }

// lives says whether there is an old master, which may go on with what both have.
func (p *predecessor) lives() bool { return p != nil && !p.gone }

// tell sends a message to an old master that still lives.
func (p *predecessor) tell(message ipc.Message) {
	if p.lives() {
		p.channel.Send(message)
	}
}

// tellFailure tells the old master why this one cannot take over.
func (p *predecessor) tellFailure(reason error) {
	if p.undecided() && !p.gone {
		p.channel.Send(ipc.Message{Kind: ipc.Failed, Text: shortened(reason.Error())})
	}
}

// shortened is a text that fits into a message.
func shortened(text string) string {
	const most = ipc.MessageBytesMax / 8 // JSON may need several bytes for one
	if len(text) > most {
		return text[:most] + " ..."
	}
	return text
}

// adopt takes over what the old master holds: sockets, shared memory, the control socket. Files that have to be there before the upgrade is decided are made.
func (m *master) adopt(p *predecessor) error {
	for _, l := range p.manifest.Listeners {
		if _, _, err := sys.InspectListener(l.FD); err != nil {
			return fmt.Errorf("socket %s of the old master: %w", l.Address, err)
		}
		m.sockets = m.sockets.adopt(l)
	}
	m.wakes.adopt(p.manifest.Wakes)
	if m.handOver = [2]int{p.manifest.HandOverSend, p.manifest.HandOverReceive}; m.handOver[0] != 0 {
		return nil
	}
	return m.openHandOver()
}

// adopt adds a socket of another master; several of one address belong together.
func (list sockets) adopt(l ipc.Listener) sockets {
	for _, s := range list {
		if s.protocol == l.Protocol && s.address == l.Address && s.options.IPv6Only == l.IPv6Only {
			s.fds = append(s.fds, l.FD)
			return list
		}
	}
	s := &socket{protocol: l.Protocol, address: l.Address, fds: []int{l.FD}, passed: l.Passed}
	s.options.IPv6Only, s.options.ReusePort = l.IPv6Only, l.ReusePort
	if l.Protocol == "unix" && !l.Passed && l.Address[0] != '@' {
		s.file = ownFileAt(l.Address)
	}
	s.to, _, _ = sys.InspectListener(l.FD)
	return append(list, s)
}

// onPredecessor acts on what the old master said, or on its end.
func (m *master) onPredecessor(w word) {
	p := m.predecessor
	switch {
	case w.end:
		p.socket.Close()
		p.gone, p.leaving = true, true
		m.log.Notice(fmt.Sprintf("the old master, process %d, has left", p.pid))
		if m.rotation != nil {
			m.onReopenedElsewhere(m.rotation.elsewhere, "")
		}
		if m.mayTake() {
			m.commit()
		}
		m.inherit()
	case w.message.Kind == ipc.TakeOver && m.mayTake():
		m.at("new.take-over")
		p.leaving = w.message.Leaves
		m.commit()
	case w.message.Kind == ipc.Retiring:
		p.leaving = true
		m.stopOld() // an order to stop may be read before what was said earlier
	case w.message.Kind == ipc.Reopen && p.taken: // the old one has reopened log files that this one had opened before
		m.want(orderReopen, nil)
	case w.message.Kind == ipc.Reload && p.taken:
		m.reloadFor(w.message.Serial)
	case w.message.Kind == ipc.Reopened:
		m.onReopenedElsewhere(w.message.Serial, w.message.Text)
	case w.message.Kind == ipc.Holding:
		m.onHeldElsewhere(w.message)
	}
}

// mayTake says whether this process is able to be the master, and is not yet. A worker may have died since it said so.
func (m *master) mayTake() bool {
	p := m.predecessor
	return p.proved && p.undecided() && m.change != nil && m.change.failed == nil && m.ending == staying
}

// inherit takes what only the old master had a right to, when it has gone.
func (m *master) inherit() {
	p := m.predecessor
	if !p.gone || p.undecided() {
		return
	}
	for _, f := range p.files {
		f.remove()
	}
	p.files = nil
	if m.pid != nil && m.pid.path != "" {
		removeUnlocked(m.pid.path + oldSuffix)
	}
	wake(m.keeper.looks)
	m.forgetForebears()
}

// forgetForebears gives up the old masters' generations when no worker of theirs is left: nobody counts any more in zones that only they have.
func (m *master) forgetForebears() {
	p := m.predecessor
	if p == nil || !p.gone || len(p.generations) == 0 || m.table.OthersAlive() {
		return
	}
	p.generations = nil
	m.leaveZones()
}

// becomeTaken is what commit does besides in a new master: from now on it is the master.
func (m *master) becomeTaken(old sockets) {
	p := m.predecessor
	p.taken = true
	p.files = old.release(m.sockets)
	if s := p.manifest.Succession; s.Control != 0 && s.ControlPath != m.control.path() {
		p.files = append(p.files, ownFileAt(s.ControlPath))
		sys.Close(s.Control)
	}
	if err := m.serveControl(m.control); err != nil {
		m.log.Error("control socket", zap.Error(err))
	}
	m.at("new.taken")
	if !p.gone {
		p.channel.Send(ipc.Message{Kind: ipc.Serving, Listeners: m.sockets.keys()})
	}
	m.inherit()
}

// release closes the descriptors that are not also in keep, and returns the files of unix sockets among them: they are still another master's.
func (list sockets) release(keep sockets) (files []ownFile) {
	for _, s := range list {
		if s.file.path != "" && !slices.ContainsFunc(keep, func(k *socket) bool { return k.file == s.file }) {
			files = append(files, s.file)
		}
		s.file = ownFile{}
	}
	list.close(keep)
	return files
}

// keys names the addresses as messages do.
func (list sockets) keys() []string {
	var keys []string
	for _, s := range list {
		keys = append(keys, ipc.ListenerKey(s.protocol, s.address))
	}
	return keys
}

// closeShared closes the shared memory, which this process cannot use.
func (p *predecessor) closeShared() {
	for _, z := range p.manifest.Zones {
		sys.Close(z.FD)
	}
	for _, fd := range []int{p.manifest.Stats, p.manifest.Table, p.manifest.Quota, p.manifest.Peers} {
		sys.Close(fd)
	}
}

// attachShared maps the old master's shared memory. A part with another layout than this version's is an error, unless the operator has asked for new ones.
func (m *master) attachShared(p *predecessor, config *conf.Config, count int) (err error) {
	reset := p.manifest.Succession.ResetZones
	refuse := func(what string, err error) error {
		return fmt.Errorf("%s: %w (weir -s upgrade --reset-zones goes on with new shared memory: the counts of limits start at 0)", what, err)
	}
	if m.table, err = slots.Attach(p.manifest.Table); err != nil {
		if !reset {
			return refuse("slot table", err)
		}
		m.log.Warn("the slot table has another layout: all zones are new, their counts start at 0", zap.Error(err))
		p.closeShared()
		m.wakes.close()
		if err := m.createShared(config, count); err != nil {
			return err
		}
		m.table.SkipGenerations(p.lastGeneration())
		return nil
	}
	if m.stats, err = stats.Attach(p.manifest.Stats); err != nil {
		if !reset {
			return refuse("counters", err)
		}
		m.log.Warn("the counters have another layout: they start at 0", zap.Error(err))
		sys.Close(p.manifest.Stats)
		if err = m.createStats(m.table.Slots()); err != nil {
			return err
		}
	}
	m.zones = &zones{onCall: m.wakes.wake}
	if err := m.adoptQuota(p.manifest.Quota); err != nil {
		if !reset {
			return refuse("temp_quota", err)
		}
		m.log.Warn("temp_quota has another layout: it is counted from 0", zap.Error(err))
		sys.Close(p.manifest.Quota)
		if err := m.openQuota(config); err != nil {
			return err
		}
	}
	if err := m.adoptPeers(p.manifest.Peers); err != nil {
		if !reset {
			return refuse("peers", err)
		}
		m.log.Warn("what is known of the origins has another layout: it starts anew", zap.Error(err))
		sys.Close(p.manifest.Peers)
		if err := m.openPeers(config); err != nil {
			return err
		}
	}
	attached := make(map[int]*zone)
	for _, z := range p.manifest.Zones {
		made, err := m.zones.attach(z)
		if err != nil {
			if !reset {
				return refuse(fmt.Sprintf("zone %q", z.Name), err)
			}
			m.log.Warn(fmt.Sprintf("zone %q has another layout: its counts start at 0", z.Name), zap.Error(err))
			sys.Close(z.FD)
			continue
		}
		attached[z.Serial] = made
	}
	p.generations = forebears(p.manifest.Succession.Generations, attached)
	return nil
}

// lastGeneration is the highest number of a generation of the old master.
func (p *predecessor) lastGeneration() int {
	last := 0
	for _, g := range p.manifest.Succession.Generations {
		last = max(last, g.Number)
	}
	return last
}

// attach opens a zone of another master. On an error the descriptor is still the caller's.
func (s *zones) attach(z ipc.Zone) (*zone, error) {
	owner, err := s.takeOwner()
	if err != nil {
		return nil, err
	}
	opened, options, err := attachContent(z.Kind, z.FD, owner)
	if err != nil {
		s.giveOwner(owner)
		return nil, err
	}
	s.serial = max(s.serial, z.Serial)
	s.listen(opened)
	added := &zone{content: opened, serial: z.Serial, options: options, owner: owner}
	s.mu.Lock()
	s.open = append(s.open, added)
	s.mu.Unlock()
	return added, nil
}

// forebears are generations of another master, as far as zones are concerned.
func forebears(list []ipc.Forebear, attached map[int]*zone) []*generation {
	var made []*generation
	for _, f := range list {
		g := &generation{number: f.Number, state: genDraining}
		for i, serials := range [][]int{f.Zones, f.Older} {
			for _, serial := range serials {
				if z := attached[serial]; z != nil {
					g.zones = append(g.zones, counting{zone: z, older: i == 1})
				}
			}
		}
		made = append(made, g)
	}
	return made
}

// presentGeneration is the one whose zones a new one may go on with: nil at the start of weir.
func (m *master) presentGeneration() *generation {
	if m.current != nil || m.predecessor == nil || len(m.predecessor.generations) == 0 {
		return m.current
	}
	return m.predecessor.generations[len(m.predecessor.generations)-1]
}

// countingGenerations are all that may count in a zone: those of older masters, and this one's.
func (m *master) countingGenerations() []*generation {
	if m.predecessor == nil {
		return m.live
	}
	return slices.Concat(m.predecessor.generations, m.live)
}
