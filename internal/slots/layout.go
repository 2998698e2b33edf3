// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package slots

import "fmt"

// State is what a slot is used for.
type State uint8

// The states of a slot; doc.go has the picture of the transitions.
const (
	Free     State = iota
	Claimed        // a master is about to start a worker in it; the process is the master
	Starting       // the worker runs, but is not ready; the process is the worker, from here to Dead
	Ready          // the worker serves
	Draining       // the worker finishes what it has, or was given up before it was ready
	Dead           // the worker has ended; what it held in the zones has not been given back
	Reaping        // a master gives it back; the process is the master
	numStates
)

// String is the state's name in lower case.
func (s State) String() string {
	names := [numStates]string{"free", "claimed", "starting", "ready", "draining", "dead", "reaping"}
	if s >= numStates {
		return fmt.Sprintf("State(%d)", uint8(s))
	}
	return names[s]
}

const (
	kind       = "slots"
	kindLayout = 2
	entryBytes = 64
)

// entry is one slot, on a cache line of its own. word is changed with compare-and-swap only, by the masters and by the worker in the slot: it holds all
// there is to know, so that there is no moment at which a killed process leaves half of it.
type entry struct {
	word  word   // 0
	owner uint64 // 8: the master that claimed the slot last, as in word's upper bits; written by it right after, before there is a worker
	_     [48]byte
}

// header is what stands before the entries, in the user area.
type header struct {
	slots      uint64 // 0: how many; never changed
	generation uint64 // 8: the highest number given to a generation of any master; changed with compare-and-swap
}

// word is a state (bits 0 to 3), a generation (4 to 15, modulo 4096), and a process: when it was started, in ticks since boot (16 to 39, modulo 2^24),
// which tells it from a later one of the same number, and its number (40 to 63; the kernel's are below 2^22).
type word uint64

func pack(s State, generation int, p process) word {
	return word(s)&0xf | word(generation&0xfff)<<4 | word(p.started)<<16 | word(p.pid)<<40
}

func (w word) state() State { return State(w & 0xf) }

func (w word) generation() int { return int(w >> 4 & 0xfff) }

func (w word) process() process {
	return process{pid: uint32(w >> 40), started: uint32(w >> 16 & 0xffffff)}
}

// process is a process number and when it was started, modulo 2^24 ticks.
type process struct{ pid, started uint32 }

// number is the process in the form of entry.owner.
func (p process) number() uint64 { return uint64(p.pid)<<24 | uint64(p.started) }

// processFrom is the process that number was called for.
func processFrom(n uint64) process {
	return process{pid: uint32(n >> 24), started: uint32(n & 0xffffff)}
}
