// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package limitconn

import (
	"bytes"
	"cmp"
	"container/heap"
	"fmt"
	"slices"
	"sync/atomic"

	"weir/internal/shm"
	"weir/internal/shmtx"
	"weir/internal/slab"
	"weir/internal/stats"
)

// Status is what a zone has counted, and how full it is. The counters may miss the operations of processes that were killed in the middle.
type Status struct {
	Name, Key string
	SizeBytes int64
	Keys      int    // with connections
	Orphans   int    // keys cleared by Delete whose connections have not all ended
	Passed    uint64 // requests counted
	Rejected  uint64 // over the limit
	DryRun    uint64 // over the limit, or no room, in a dry run
	Bypassed  uint64 // let through by the bypass list
	Full      uint64 // no room in the zone
	Stale     uint64 // places given back that were not there any more: see Release
	Faults    uint64 // operations that met a damaged zone
	Waiting   int    // in lines at present
	Waits     Waits
	Rebuilds  int
	Sound     bool // no operation has met a fault since the last Rebuild
	CheckDue  bool // a dead process's work was undone since the last Check, or the zone is not sound
	Slab      slab.Stats
	Lock      shmtx.Counters
	UsedPart  float64 // part of the pages that is not free, 0 to 1: warn at 0.8
}

// Waits is what has become of the requests that had to wait in line: see Zone.Wait.
type Waits struct {
	Queued     uint64          // began to wait
	Given      uint64          // had a place after waiting
	Late       uint64          // waited as long as they might; counted as rejected too
	Left       uint64          // gave up before
	Overflowed uint64          // did not wait, since the line was full; counted as rejected too
	Time       stats.Histogram // how long those waited that had a place
}

// Status returns the present numbers.
func (z *Zone) Status() Status {
	z.mutex.Lock()
	return z.status()
}

// TryStatus is Status without waiting: false when somebody has the lock, and Holder may say who.
func (z *Zone) TryStatus() (s Status, ok bool) {
	if z.mutex.TryLock() == nil {
		return s, false
	}
	return z.status(), true
}

// status is Status under the lock, which it gives back.
func (z *Zone) status() Status {
	s := Status{Name: z.Name(), Key: z.Key(), SizeBytes: z.SizeBytes()}
	h := z.h
	c := &h.counters
	s.Keys, s.Orphans, s.Rebuilds = int(h.keys), int(h.orphans), int(h.epoch)
	s.Passed, s.Rejected, s.DryRun, s.Full, s.Stale, s.Faults = c.passed, c.rejected, c.dryRun, c.full, c.stale, c.faults
	s.Bypassed = atomic.LoadUint64(&c.bypassed)
	w := &h.waits
	s.Waiting, s.Waits = int(h.waiting), Waits{w.queued, w.given, w.late, w.left, w.overflowed, h.took}
	s.Lock, s.Slab = z.mutex.Counters(), z.pool.Stats()
	s.Sound = h.state == stateSound
	s.CheckDue = !s.Sound || h.checked != s.Lock.Recoveries
	z.mutex.Unlock()
	s.UsedPart = float64(s.Slab.UsedPages()) / float64(s.Slab.Pages)
	return s
}

// Entry is one key of a zone.
type Entry struct {
	Key         []byte
	Connections int
	Shares      []Share // what each worker has of them; their sum is Connections
}

// Share is how many of a key's connections one worker has.
type Share struct {
	Slot, Connections int
}

// The lock is held for one chunk of keys at a time.
const (
	chunkKeys   = 32
	chunkShares = SlotsMax // room for the shares of any one key
)

// chunk is what is copied under the lock. Its memory is made before: nothing is allocated while the lock is held.
type chunk struct {
	entries [chunkKeys]struct{ hash, keyEnd, sharesEnd, total uint32 }
	n       int
	keys    []byte
	shares  []Share
}

// Walk calls visit for each key, in no order that means something. The entry is good during the call. The lock is held for
// some 30 keys at a time, a few microseconds: each entry is exact for a moment of its own, and keys that come or go meanwhile may be missed.
func (z *Zone) Walk(visit func(*Entry)) error {
	c := &chunk{keys: make([]byte, 0, chunkKeys*KeyMax), shares: make([]Share, 0, chunkShares)}
	last := make([]byte, 0, KeyMax)
	var lastHash uint32
	for {
		if verdict := z.copyChunk(c, lastHash, last); verdict == Damaged {
			return fmt.Errorf("zone %q: list of keys: %w", z.Name(), ErrDamaged)
		}
		if c.n == 0 {
			return nil
		}
		var key, share uint32
		for i := range c.entries[:c.n] {
			e := &c.entries[i]
			visit(&Entry{Key: c.keys[key:e.keyEnd:e.keyEnd], Connections: int(e.total), Shares: c.shares[share:e.sharesEnd:e.sharesEnd]})
			key, share = e.keyEnd, e.sharesEnd
		}
		hash, lastKey := c.last()
		last, lastHash = append(last[:0], lastKey...), hash
	}
}

// last is the hash and the key of the last entry.
func (c *chunk) last() (hash uint32, key []byte) {
	start := uint32(0)
	if c.n > 1 {
		start = c.entries[c.n-2].keyEnd
	}
	e := &c.entries[c.n-1]
	return e.hash, c.keys[start:e.keyEnd]
}

// behind says whether (hash, key) comes behind (otherHash, other) in the tree. Before all stands the empty key.
func behind(hash uint32, key []byte, otherHash uint32, other []byte) bool {
	if hash != otherHash || len(other) == 0 {
		return hash > otherHash || len(other) == 0
	}
	return bytes.Compare(key, other) > 0
}

// copyChunk fills c with the keys behind (hash, key); from the first one on when key is empty.
func (z *Zone) copyChunk(c *chunk, hash uint32, key []byte) (verdict Verdict) {
	c.n, c.keys, c.shares = 0, c.keys[:0], c.shares[:0]
	var tx *shmtx.Tx
	defer z.guard(&tx, &verdict)
	tx = z.mutex.Lock()
	if z.h.state == stateRebuilding {
		z.mutex.Unlock()
		return Damaged
	}
	at := shm.Offset(0)
	if len(key) == 0 {
		at = z.tree.First()
	} else {
		found, place := z.tree.Seek(hash, func(other shm.Offset) int { return bytes.Compare(key, z.keyAt(other, z.node(other))) })
		if at = z.tree.After(place); found != 0 {
			at = z.tree.Next(found)
		}
	}
	for ; at != 0 && c.n < chunkKeys; at = z.tree.Next(at) {
		n := z.node(at)
		// Either might lead the walk to where it has been, again and again.
		if k := z.keyAt(at, n); len(k) == 0 {
			shm.Faultf(z.shm, at, "limitconn: a key of no bytes")
		} else if !behind(n.tree.Key, k, hash, key) {
			shm.Faultf(z.shm, at, "limitconn: the tree's order goes backwards")
		}
		if !z.copyEntry(c, at) {
			break
		}
		hash, key = c.last()
	}
	z.mutex.Unlock()
	return Passed
}

// copyEntry adds a node to c; false when its shares do not fit any more.
func (z *Zone) copyEntry(c *chunk, at shm.Offset) bool {
	n, before := z.node(at), len(c.shares)
	for off := at + ownOffset; off != 0; {
		s := z.share(off)
		if s.count() > 0 {
			if len(c.shares) == cap(c.shares) {
				c.shares = c.shares[:before]
				if before == 0 {
					shm.Faultf(z.shm, at, "limitconn: the list of shares has no end")
				}
				return false
			}
			c.shares = append(c.shares, Share{Slot: int(s.slot), Connections: int(s.count())})
		}
		off = s.next
	}
	c.keys = append(c.keys, z.keyAt(at, n)...)
	e := &c.entries[c.n]
	e.hash, e.total, e.keyEnd, e.sharesEnd = n.tree.Key, n.total(), uint32(len(c.keys)), uint32(len(c.shares))
	c.n++
	return true
}

// Top returns the n keys with the most connections, most first, as Walk sees them. The caller owns the entries.
func (z *Zone) Top(n int) ([]Entry, error) {
	if n <= 0 {
		return nil, nil
	}
	var top fewest
	err := z.Walk(func(e *Entry) {
		if len(top) == n && !less(&top[0], e) {
			return
		}
		kept := Entry{Key: bytes.Clone(e.Key), Connections: e.Connections, Shares: slices.Clone(e.Shares)}
		if len(top) < n {
			heap.Push(&top, kept)
			return
		}
		top[0] = kept
		heap.Fix(&top, 0)
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(top, func(a, b Entry) int { return order(&b, &a) })
	return top, nil
}

// order puts fewer connections first; of keys with equally many, the greater.
func order(a, b *Entry) int {
	if d := cmp.Compare(a.Connections, b.Connections); d != 0 {
		return d
	}
	return bytes.Compare(b.Key, a.Key)
}

func less(a, b *Entry) bool { return order(a, b) < 0 }

// fewest is a heap of entries with the least one on top.
type fewest []Entry

func (f fewest) Len() int           { return len(f) }
func (f fewest) Less(i, j int) bool { return less(&f[i], &f[j]) }
func (f fewest) Swap(i, j int)      { f[i], f[j] = f[j], f[i] }
func (f *fewest) Push(x any)        { *f = append(*f, x.(Entry)) }
func (f *fewest) Pop() any {
	last := len(*f) - 1
	e := (*f)[last]
	*f = (*f)[:last]
	return e
}
