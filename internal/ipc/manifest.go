// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package ipc

import (
	"encoding/json"
	"fmt"
	"net/netip"

	"weir/internal/sys"
)

// Descriptors whose numbers are fixed in a worker.
const (
	StdinFD    = 0 // /dev/null
	StdoutFD   = 1 // the master's
	StderrFD   = 2 // the master's
	ManifestFD = 3
)

// RoleVariable names, in the environment of weir-worker, what the process is to be: RoleProber, or a worker without it. It is known before the manifest is read.
const (
	RoleVariable = "WEIR_ROLE"
	RoleProber   = "prober"
)

const (
	manifestBytesMax = 16 << 20
	// ConfigBytesMax bounds the config that a worker reads: larger than any real one, smaller than a mistake.
	ConfigBytesMax = 64 << 20
)

// Manifest tells a new worker what it is and what each of its descriptors is. It is written once, by the
// master, and never changes: the worker reads it from a sealed memory file at descriptor ManifestFD.
type Manifest struct {
	Build string `json:"build"` // the master's version; a worker of another build refuses to run

	// Prober is set when the process checks the health of the origins instead of serving: it has no slot, counters, listeners and zones but Peers, and no channel.
	Prober bool `json:"prober,omitempty"`

	Slot       int `json:"slot"`       // this worker's place in shared memory; no other live worker has it, of any generation
	Generation int `json:"generation"` // counts the accepted configs, from 1
	Worker     int `json:"worker"`     // 0 to Workers-1: the place within the generation
	Workers    int `json:"workers"`    // how many workers the generation has
	Slots      int `json:"slots"`      // size of the slot table: Slot is below it
	MasterPID  int `json:"master_pid"`

	Prefix string `json:"prefix"` // absolute; relative paths of the config start here

	Config  int `json:"config"`  // sealed memory file with the config that the master has checked, packed (conf.Unpack)
	Channel int `json:"channel"` // to the master
	Stats   int `json:"stats"`   // the counters' segment, package stats
	Table   int `json:"table"`   // the slot table, package slots
	Peers   int `json:"peers"`   // what all know of the origins, package peers

	AcceptMutex int `json:"accept_mutex,omitempty"` // a segment of KindAcceptMutex, with nothing but a lock; 0: accept_mutex is off

	// HandOverSend and HandOverReceive are the two ends of the queue by which workers that drain hand idle connections to those of newer generations.
	// There is one for the whole instance, over reloads and upgrades. 0: none.
	HandOverSend    int `json:"hand_over_send,omitempty"`
	HandOverReceive int `json:"hand_over_receive,omitempty"`

	// Wakes are the event counters (eventfd) that wake the workers whose requests wait for a place, by slot: this worker's own is that of its Slot. Empty: the
	// config has no queue.
	Wakes []int `json:"wakes,omitempty"`

	// Probe is a connection whose client is the master: a worker of an upgraded weir serves it like any other, from a server of its own that says what the worker is. 0: none.
	Probe int `json:"probe,omitempty"`

	// Succession is there when the process is not a worker but the master of a new binary. It has no slot, config, worker, probe or log of its own then.
	Succession *Succession `json:"succession,omitempty"`

	Temp  int `json:"temp,omitempty"`  // the directory of temporary files; 0: there is none
	Quota int `json:"quota,omitempty"` // their budget, package quota; 0: with Temp

	Listeners []Listener `json:"listeners"` // that this worker accepts from
	Zones     []Zone     `json:"zones"`     // of shared memory, beside Stats and Table
	Logs      []Log      `json:"logs"`      // access logs and the error log, each once
	ErrorLog  string     `json:"error_log"` // the path among Logs that is the error log: the config's, unless -e says otherwise
}

// Listener is one listening socket: bound, listening, non-blocking.
type Listener struct {
	Protocol  string `json:"protocol"`            // "tcp4", "tcp6" or "unix"
	Address   string `json:"address"`             // "127.0.0.1:80", "[::]:80", "/run/weir.http"
	IPv6Only  bool   `json:"ipv6only,omitempty"`  // tcp6: takes no IPv4 clients
	ReusePort bool   `json:"reuseport,omitempty"` // this worker's own socket, not shared with the others
	Passed    bool   `json:"passed,omitempty"`    // for a new master: opened by the service manager, whose the file of a unix socket is
	FD        int    `json:"fd"`
}

// AddressKey is how a manifest names a listening address: an IP address with its port, or else the path of a unix
// socket. Master and worker both make the key with it, from the same config.
func AddressKey(ip netip.AddrPort, path string) (protocol, address string) {
	switch {
	case path != "":
		return "unix", path
	case ip.Addr().Is4():
		return "tcp4", ip.String()
	}
	return "tcp6", ip.String()
}

// ListenerKey names a listening address in one word, as Message.Listeners and Connection.Listener have it.
func ListenerKey(protocol, address string) string { return protocol + " " + address }

// KindAcceptMutex is the kind of the segment behind Manifest.AcceptMutex.
const KindAcceptMutex = "accept_mutex"

// The kinds of zones.
const (
	KindLimitConn = "limit_conn" // connections are counted: package limitconn
	KindLimitReq  = "limit_req"  // rates of requests are kept: package limitreq
	KindMaxConns  = "max_conns"  // attempts with origins that have max_conns are counted: package limitconn
)

// Zone is one shared memory zone. Of each name there is one that is not Older.
//
// Older zones are those in which older generations count, when a reload has changed a zone's size or lock. Until these have left, a worker takes a
// place in each of them too, before the one in the zone itself: they hold all connections of all generations, so the limit holds for all of them together.
// One without room for a key answers as the zone itself would. The message Forget ends it.
type Zone struct {
	Name   string `json:"name"`
	Kind   string `json:"kind"`            // KindLimitConn, KindLimitReq, KindMaxConns
	Serial int    `json:"serial"`          // no other zone of this master has it
	Older  bool   `json:"older,omitempty"` // counted in beside the zone of the same name
	FD     int    `json:"fd"`
}

// Log is one log file, opened for appending by the master.
type Log struct {
	Path string `json:"path"` // as package conf resolved it: absolute, or "stdout" or "stderr"
	FD   int    `json:"fd"`
}

// Seal writes the manifest to a sealed memory file. The caller owns the descriptor, which is close-on-exec.
func (m *Manifest) Seal() (int, error) {
	text, err := json.Marshal(m)
	if err != nil {
		return -1, fmt.Errorf("manifest: %w", err)
	}
	return sys.SealedFile("weir-manifest", text)
}

// ReadManifest reads the manifest that the master left at fd (ManifestFD in a worker) and checks that it is
// consistent in itself. It does not close fd. It does not compare builds, so that a caller
// can say which build it found; CheckBuild does.
func ReadManifest(fd int) (*Manifest, error) {
	text, err := sys.ReadSealedFile(fd, manifestBytesMax)
	if err != nil {
		return nil, fmt.Errorf("manifest at descriptor %d: %w (weir-worker is started by weir, not by hand)", fd, err)
	}
	m := new(Manifest)
	if err := json.Unmarshal(text, m); err != nil {
		return nil, fmt.Errorf("manifest at descriptor %d: %w", fd, err)
	}
	return m, nil
}

// CheckBuild returns an error that says what to do when the worker's own build is not the master's: the two
// read the same shared memory and must agree on every byte of it.
func (m *Manifest) CheckBuild(own string) error {
	if m.Build == own {
		return nil
	}
	return fmt.Errorf("weir-worker is build %q, the master that started it is build %q: install both from one build", own, m.Build)
}

// Check returns the first fault of a manifest that has the right build: a number out of range, or a
// descriptor that stands for two things.
func (m *Manifest) Check() error {
	if m.Succession != nil || m.Prober {
		return m.checkDescriptors()
	}
	if m.Slot < 0 || m.Slot >= m.Slots {
		return fmt.Errorf("manifest: slot %d of %d", m.Slot, m.Slots)
	}
	if m.Worker < 0 || m.Worker >= m.Workers {
		return fmt.Errorf("manifest: worker %d of %d", m.Worker, m.Workers)
	}
	if len(m.Wakes) > 0 && len(m.Wakes) != m.Slots {
		return fmt.Errorf("manifest: %d wake-ups for %d slots", len(m.Wakes), m.Slots)
	}
	return m.checkDescriptors()
}

func (m *Manifest) checkDescriptors() error {
	seen := map[int]string{ManifestFD: "manifest"}
	for _, d := range m.descriptors() {
		if d.fd <= ManifestFD {
			return fmt.Errorf("manifest: %s has descriptor %d, which is not its own", d.what, d.fd)
		}
		if other, ok := seen[d.fd]; ok {
			return fmt.Errorf("manifest: %s and %s have the same descriptor %d", other, d.what, d.fd)
		}
		seen[d.fd] = d.what
	}
	return nil
}

type descriptor struct {
	what string
	fd   int
}

// descriptors lists what is open in a new worker above ManifestFD.
func (m *Manifest) descriptors() []descriptor {
	list := []descriptor{{"peers", m.Peers}}
	if !m.Prober {
		list = append(list, descriptor{"channel", m.Channel}, descriptor{"stats", m.Stats}, descriptor{"slot table", m.Table})
	}
	switch {
	case m.Succession == nil:
		list = append(list, descriptor{"config", m.Config})
	case m.Succession.Control != 0:
		list = append(list, descriptor{"control socket", m.Succession.Control})
	}
	if m.AcceptMutex != 0 {
		list = append(list, descriptor{"accept_mutex", m.AcceptMutex})
	}
	if m.Probe != 0 {
		list = append(list, descriptor{"probe", m.Probe})
	}
	if m.HandOverSend != 0 {
		list = append(list, descriptor{"hand-over, send", m.HandOverSend})
	}
	if m.HandOverReceive != 0 {
		list = append(list, descriptor{"hand-over, receive", m.HandOverReceive})
	}
	if m.Temp != 0 {
		list = append(list, descriptor{"directory of temporary files", m.Temp})
	}
	if m.Quota != 0 {
		list = append(list, descriptor{"quota of temporary files", m.Quota})
	}
	for slot, fd := range m.Wakes {
		list = append(list, descriptor{fmt.Sprintf("wake-up of slot %d", slot), fd})
	}
	for _, l := range m.Listeners {
		list = append(list, descriptor{"listener " + l.Address, l.FD})
	}
	for _, z := range m.Zones {
		list = append(list, descriptor{"zone " + z.Name, z.FD})
	}
	for _, l := range m.Logs {
		if l.FD > ManifestFD { // "stdout" and "stderr" are the inherited ones
			list = append(list, descriptor{"log " + l.Path, l.FD})
		}
	}
	return list
}

// Descriptors lists every descriptor number that is open in a new worker, the fixed ones included. It is what
// /proc/PID/fd is compared with.
func (m *Manifest) Descriptors() []int {
	fds := []int{StdinFD, StdoutFD, StderrFD, ManifestFD}
	for _, d := range m.descriptors() {
		fds = append(fds, d.fd)
	}
	return fds
}

// ReadConfig returns the packed config.
func (m *Manifest) ReadConfig() ([]byte, error) {
	packed, err := sys.ReadSealedFile(m.Config, ConfigBytesMax)
	if err != nil {
		return nil, fmt.Errorf("config at descriptor %d: %w", m.Config, err)
	}
	return packed, nil
}

// ListenersAt returns the sockets bound to an address: one, or with reuseport possibly several, when the
// number of workers has shrunk and the sockets' queues must still be served. Empty: the manifest has none.
func (m *Manifest) ListenersAt(protocol, address string) []Listener {
	var found []Listener
	for _, l := range m.Listeners {
		if l.Protocol == protocol && l.Address == address {
			found = append(found, l)
		}
	}
	return found
}

// Log returns the descriptor of a log by its path in the manifest's form; false when the manifest has none.
func (m *Manifest) Log(path string) (fd int, ok bool) {
	for _, l := range m.Logs {
		if l.Path == path {
			return l.FD, true
		}
	}
	return -1, false
}

// Zone returns the descriptor of a zone by its name, of the one that is not Older; false when the manifest has none.
func (m *Manifest) Zone(name string) (fd int, ok bool) {
	for _, z := range m.Zones {
		if z.Name == name && !z.Older {
			return z.FD, true
		}
	}
	return -1, false
}

// OlderZones lists the zones of that name in which connections are to be counted too, see Zone.
func (m *Manifest) OlderZones(name string) []Zone {
	var found []Zone
	for _, z := range m.Zones {
		if z.Name == name && z.Older {
			found = append(found, z)
		}
	}
	return found
}
