// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package slots

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"

	"weir/internal/shm"
)

// Table is this process's handle on the slot table.
type Table struct {
	zone  *shm.Zone
	slots int
	own   process // this one
}

// Slot is what the table says of one slot.
type Slot struct {
	Index      int
	State      State
	Generation int // modulo 4096
	PID        int // the worker; in Claimed and Reaping the master
	Owner      int // the master that claimed it; 0: nobody ever has
}

// Create makes a table of free slots. The errors are shm.Create's.
func Create(name string, slots int) (*Table, error) {
	if slots < 1 {
		return nil, fmt.Errorf("slots %q: %d slots: at least 1", name, slots)
	}
	size := int64(shm.DataArea) + (int64(slots)*entryBytes+shm.PageBytes-1)/shm.PageBytes*shm.PageBytes
	zone, err := shm.Create(shm.Options{Name: name, Kind: kind, KindLayout: kindLayout, SizeBytes: max(size, shm.MinBytes)})
	if err != nil {
		return nil, err
	}
	shm.At[header](zone, shm.UserArea).slots = uint64(slots)
	return open(zone), nil
}

// Attach maps a table made by another process. The table then owns fd; when an error is returned, fd is still the caller's.
func Attach(fd int) (*Table, error) {
	zone, err := shm.Attach(fd, kind, kindLayout)
	if err != nil {
		return nil, err
	}
	return open(zone), nil
}

func open(zone *shm.Zone) *Table {
	room := (zone.SizeBytes() - int64(shm.DataArea)) / entryBytes
	return &Table{zone: zone, slots: int(min(shm.At[header](zone, shm.UserArea).slots, uint64(room))), own: processOf(os.Getpid())}
}

// Close unmaps the table and closes its descriptor.
func (t *Table) Close() error { return t.zone.Close() }

// FD is the descriptor, to be inherited by workers. It stays the table's.
func (t *Table) FD() int { return t.zone.FD() }

// Slots is how many slots there are.
func (t *Table) Slots() int { return t.slots }

func (t *Table) entry(slot int) *entry {
	if slot < 0 || slot >= t.slots {
		panic(fmt.Sprintf("slots: slot %d of %d", slot, t.slots))
	}
	return shm.At[entry](t.zone, shm.DataArea+shm.Offset(slot*entryBytes))
}

func (t *Table) word(slot int) *uint64 { return (*uint64)(&t.entry(slot).word) }

// owner is the master that claimed a slot last.
func (t *Table) owner(slot int) process { return processFrom(atomic.LoadUint64(&t.entry(slot).owner)) }

// mine says whether it is up to this master to see to a slot's end: it has claimed it, or who did lives no more.
func (t *Table) mine(slot int) bool {
	p := t.owner(slot)
	return p == t.own || processOf(int(p.pid)) != p
}

func (t *Table) load(slot int) word { return word(atomic.LoadUint64(t.word(slot))) }

// Get is the present state of a slot.
func (t *Table) Get(slot int) Slot {
	w := t.load(slot)
	return Slot{Index: slot, State: w.state(), Generation: w.generation(), PID: int(w.process().pid), Owner: int(t.owner(slot).pid)}
}

// All lists the slots that are not free.
func (t *Table) All() []Slot {
	var all []Slot
	for i := range t.slots {
		if s := t.Get(i); s.State != Free {
			all = append(all, s)
		}
	}
	return all
}

// become moves a slot from what it was seen as to another state, in one step; false when it is not that any more.
func (t *Table) become(slot int, seen word, to State, p process) bool {
	return atomic.CompareAndSwapUint64(t.word(slot), uint64(seen), uint64(pack(to, seen.generation(), p)))
}

// Claim finds a free slot for a worker of the generation; false when there is none. The master that calls it starts the worker and
// calls Start, or Unclaim when it cannot.
func (t *Table) Claim(generation int) (slot int, ok bool) {
	for i := range t.slots {
		if t.load(i).state() == Free && atomic.CompareAndSwapUint64(t.word(i), 0, uint64(pack(Claimed, generation, t.own))) {
			atomic.StoreUint64(&t.entry(i).owner, t.own.number())
			return i, true
		}
	}
	return -1, false
}

// Unclaim gives back a slot that this master has claimed and started no worker in.
func (t *Table) Unclaim(slot int) bool {
	w := t.load(slot)
	return w.state() == Claimed && w.process() == t.own && atomic.CompareAndSwapUint64(t.word(slot), uint64(w), 0)
}

// Start says that the worker with this process number now runs in a slot that this master has claimed. false: the worker was
// faster, and has said so itself.
func (t *Table) Start(slot, pid int) bool {
	w := t.load(slot)
	p := processOf(pid)
	p.pid = uint32(pid) // also when it has ended already: Died and Sweep find it by that
	return w.state() == Claimed && w.process() == t.own && t.become(slot, w, Starting, p)
}

// Ready is the worker's: it serves from now on. false: the slot is not its any more, and it must end without having touched a zone.
func (t *Table) Ready(slot int) bool {
	for {
		w := t.load(slot)
		mine := w.state() == Claimed || w.state() == Starting && w.process() == t.own
		if !mine {
			return false
		}
		if t.become(slot, w, Ready, t.own) { // else the master has just called Start: look again
			return true
		}
	}
}

// Revoke gives up a worker of this master that is not ready: Ready returns false to it from now on. false: it was faster, and may serve clients already, or it has
// ended.
func (t *Table) Revoke(slot, pid int) bool {
	w := t.load(slot)
	return w.state() == Starting && int(w.process().pid) == pid && t.become(slot, w, Draining, w.process())
}

// Drain is the worker's: it finishes what it has. false: it was not ready.
func (t *Table) Drain(slot int) bool {
	w := t.load(slot)
	return w.state() == Ready && w.process() == t.own && t.become(slot, w, Draining, t.own)
}

// Died says that the worker pid, started by this master in the slot, has ended. The caller knows it from waitpid. false: the slot is not that
// worker's, or it is known already.
func (t *Table) Died(slot, pid int) bool {
	for {
		w := t.load(slot)
		switch w.state() {
		case Claimed: // it has ended before this master got to Start
			if w.process() != t.own {
				return false
			}
		case Starting, Ready, Draining:
			if int(w.process().pid) != pid {
				return false
			}
		default:
			return false
		}
		if t.become(slot, w, Dead, w.process()) {
			return true
		}
	}
}

// Sweep finds slots whose process has ended without anybody having said so, because its master has ended too, and makes them Dead; also slots that a
// dead master had claimed, or was reaping. Those of a master that lives, of this one too, are its
// children: it waits for them, and says Died. It returns how many it found.
func (t *Table) Sweep() int {
	found := 0
	for i := range t.slots {
		w := t.load(i)
		if w.state() == Free || w.state() == Dead || processOf(int(w.process().pid)) == w.process() {
			continue
		}
		if w.state() != Claimed && w.state() != Reaping && (t.owner(i) == t.own || !t.mine(i)) {
			continue
		}
		if t.become(i, w, Dead, w.process()) {
			found++
		}
	}
	return found
}

// Reap gives back what dead workers held: for each dead slot it calls release, which takes the slot's shares out of every zone and retires its counters, and makes the
// slot free when release returns nil. A slot of another master that lives is left to that one, which may know of zones that this one does not; of several masters
// that may, one gets it. It is called when a worker has died, and again
// before a worker is started, so that what could not be done at one time is done at the next. It returns the slots that are free now, and the first error.
func (t *Table) Reap(release func(slot int) error) (freed []int, err error) {
	for i := range t.slots {
		w := t.load(i)
		if w.state() != Dead || !t.mine(i) || !t.become(i, w, Reaping, t.own) {
			continue
		}
		if failed := release(i); failed != nil {
			atomic.StoreUint64(t.word(i), uint64(w)) // nobody else changes it while it is ours
			if err == nil {
				err = fmt.Errorf("reap of slot %d: %w", i, failed)
			}
			continue
		}
		atomic.StoreUint64(t.word(i), 0)
		freed = append(freed, i)
	}
	return freed, err
}

// OthersAlive says whether a worker of another master may be alive.
func (t *Table) OthersAlive() bool {
	for i := range t.slots {
		if t.Alive(i) && t.owner(i) != t.own {
			return true
		}
	}
	return false
}

// NextGeneration gives out the number of a new generation: one more than the highest so far, of whatever master.
func (t *Table) NextGeneration() int {
	return int(atomic.AddUint64(&shm.At[header](t.zone, shm.UserArea).generation, 1))
}

// SkipGenerations has the numbers of generations begin after last, when they are below it.
func (t *Table) SkipGenerations(last int) {
	n := &shm.At[header](t.zone, shm.UserArea).generation
	for {
		seen := atomic.LoadUint64(n)
		if seen >= uint64(last) || atomic.CompareAndSwapUint64(n, seen, uint64(last)) {
			return
		}
	}
}

// UndoGeneration takes a number back whose generation has never served, if no higher one was given out since.
func (t *Table) UndoGeneration(number int) {
	atomic.CompareAndSwapUint64(&shm.At[header](t.zone, shm.UserArea).generation, uint64(number), uint64(number-1))
}

// Alive says whether a slot has a worker that may hold something in a zone: what Zone.Rebuild of package limitconn asks.
func (t *Table) Alive(slot int) bool {
	if slot >= t.slots {
		return false
	}
	switch t.Get(slot).State {
	case Claimed, Starting, Ready, Draining:
		return true
	}
	return false
}

// Check returns every fault of the table.
func (t *Table) Check() []error {
	faults := t.zone.Check()
	for i := range t.slots {
		if w := t.load(i); w.state() >= numStates || w.state() == Free && w != 0 {
			faults = append(faults, fmt.Errorf("slots: slot %d: %v, word %#x", i, w.state(), uint64(w)))
		}
	}
	return faults
}

// processOf is the process that has the number now; without a number when there is none, or when it has ended and only waits to be
// waited for. proc_pid_stat(5), fields 3 and 22.
func processOf(pid int) process {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return process{}
	}
	at := strings.LastIndex(string(text), ") ") // before it stands the program's name, which may hold anything
	if at < 0 {
		return process{}
	}
	fields := strings.Fields(string(text[at+2:]))
	if len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return process{}
	}
	ticks, err := strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		return process{}
	}
	return process{pid: uint32(pid), started: uint32(ticks & 0xffffff)}
}
