// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"weir/internal/ipc"
	"weir/internal/sys"
)

// program is the file of weir-worker. It is held open from the start on, so that a worker that dies while a new version lies
// on the disk already is still followed by one of the same build as the master.
type program struct {
	path string
	file *os.File
	// number is a copy of file's descriptor, above any that a worker inherits: the new process still has it when
	// it executes it.
	number int
}

// The lowest descriptor for program.number, and so the bound on what a worker can inherit: programFD, or less where this process may not have as many
// descriptors. programRoom are left above it, for others that have to be out of the way.
const (
	programFD   = 4000
	programRoom = 16
)

// openProgram opens the worker's binary. The errors say what a user can do.
func openProgram(path string) (*program, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w (weir finds weir-worker beside itself; `make build` makes both)", err)
	}
	limit := sys.DescriptorLimit()
	number, err := sys.DupAbove(int(file.Fd()), max(min(programFD, limit-programRoom), 0))
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("%w (the limit on descriptors, RLIMIT_NOFILE, is %d)", err, limit)
	}
	return &program{path: path, file: file, number: number}, nil
}

// executable is what to execute: the file by its name, so that the process is called after it, unless the
// name stands for another file by now.
func (p *program) executable() string {
	held, err1 := p.file.Stat()
	named, err2 := os.Stat(p.path)
	if err1 == nil && err2 == nil && os.SameFile(held, named) {
		return p.path
	}
	return fmt.Sprintf("/proc/self/fd/%d", p.number)
}

func (p *program) close() {
	if p == nil {
		return
	}
	sys.Close(p.number)
	p.file.Close()
}

// workerEnv is what workers see of the environment: the time zone and the Go runtime's switches. The rest may hold
// secrets that an unprivileged process does not need. Preemption by signals is switched off: see package worker.
func workerEnv(extra []string) []string {
	debug := "asyncpreemptoff=1"
	if value := os.Getenv("GODEBUG"); value != "" {
		debug = value + "," + debug
	}
	env := []string{"GODEBUG=" + debug}
	for _, name := range []string{"TZ", "GOTRACEBACK", "GOCOVERDIR", "GORACE", "GOMEMLIMIT"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return append(env, extra...)
}

// errNoSlot: more workers live than the slot table, which was sized at start, has room for.
var errNoSlot = errors.New("no free slot for a worker: too many workers of older generations still drain, or worker_processes " +
	"has grown a lot since the start (a restart makes room)")

// startWorker starts the process for one place of a generation. It must run on the thread that Run has locked.
func (m *master) startWorker(g *generation, index int) error {
	m.keeper.onDeath() // what could not be given back at the time may be now
	slot, ok := m.table.Claim(g.number)
	if !ok {
		return errNoSlot
	}
	channel, theirs, err := ipc.OpenPair()
	if err != nil {
		m.table.Unclaim(slot)
		return err
	}
	defer sys.Close(theirs)
	pid, err := m.spawn(g, index, slot, theirs)
	if err != nil {
		channel.Close()
		m.table.Unclaim(slot)
		return err
	}
	m.table.Start(slot, pid)
	now := time.Now()
	w := &worker{
		gen: g, place: index, slot: slot, pid: pid, restarts: g.places[index].restarts, started: now, channel: channel,
		socket:   os.NewFile(uintptr(channel.FD()), "channel"),
		deadline: now.Add(g.config.ReloadTimeout),
	}
	g.workers = append(g.workers, w)
	g.places[index].worker = w
	go w.listen(m.said, m.left)
	return nil
}

func (m *master) freeSlots() int { return m.table.Slots() - len(m.table.All()) }

// spawn executes weir-worker with exactly the descriptors that its manifest lists.
func (m *master) spawn(g *generation, index, slot, channel int) (pid int, err error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	files := []uintptr{null.Fd(), ipc.StdoutFD, ipc.StderrFD, 0}
	inherit := func(fd int) int {
		files = append(files, uintptr(fd))
		return len(files) - 1
	}
	acceptMutex := 0
	if g.accept != nil {
		acceptMutex = inherit(g.accept.FD())
	}
	temp, budget := m.inheritTemp(g, inherit)
	var wakes []int
	if g.config.HasQueues() {
		if err := m.wakes.open(m.table.Slots()); err != nil {
			return 0, err
		}
		wakes = m.wakes.inherit(inherit)
	}
	manifest := &ipc.Manifest{
		Build: m.opts.Build,
		Slot:  slot, Slots: m.table.Slots(),
		Generation: g.number, Worker: index, Workers: len(g.places),
		MasterPID: os.Getpid(),
		Prefix:    g.source.Prefix,
		Config:    inherit(g.configFD), Channel: inherit(channel), Stats: inherit(m.stats.FD()), Table: inherit(m.table.FD()),
		Peers:        inherit(m.peers.FD()),
		AcceptMutex:  acceptMutex,
		Wakes:        wakes,
		HandOverSend: inherit(m.handOver[0]), HandOverReceive: inherit(m.handOver[1]), Probe: g.probeFor(index, inherit),
		Listeners: g.listenersOf(index, inherit),
		Zones:     g.zonesOf(inherit), Temp: temp, Quota: budget,
		Logs: m.logs.inherit(g.logs, inherit), ErrorLog: g.config.ErrorLog.Path,
	}
	if err := manifest.Check(); err != nil {
		panic(err) // it is all our own doing
	}
	if len(files) > m.program.number {
		return 0, fmt.Errorf("a worker would inherit %d descriptors, at most %d are possible (the limit on descriptors, RLIMIT_NOFILE, is %d)",
			len(files), m.program.number, sys.DescriptorLimit())
	}
	sealed, err := manifest.Seal()
	if err != nil {
		return 0, err
	}
	defer sys.Close(sealed)
	files[ipc.ManifestFD] = uintptr(sealed)
	title := fmt.Sprintf("weir-worker: generation %d slot %d", g.number, slot)
	pid, err = sys.Spawn(m.program.executable(), []string{title}, workerEnv(append(g.heapEnv(), m.opts.WorkerEnv...)), files)
	return pid, explainSpawn(err)
}

// explainSpawn adds to an error what a user can do about it.
func explainSpawn(err error) error {
	switch {
	case errors.Is(err, syscall.EAGAIN):
		return fmt.Errorf("%w (the limit on processes, RLIMIT_NPROC or pids.max, is reached)", err)
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.ENOEXEC):
		return fmt.Errorf("%w (weir-worker is not an executable of this machine)", err)
	}
	return err
}
