// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"errors"
	"fmt"

	"go.uber.org/zap"

	"weir/conf"
	"weir/internal/ipc"
	"weir/internal/limitconn"
	"weir/internal/limitreq"
	"weir/internal/shmtx"
	"weir/internal/slab"
	"weir/internal/zonekey"
)

// zoneOptions say which zone it is; two with the same options are the same zone over a reload.
type zoneOptions struct {
	kind      string // ipc.KindLimitConn, ...
	name, key string
	sizeBytes int64
	mutex     shmtx.Kind
}

// capacity is how many keys of so many bytes the zone holds.
func (o *zoneOptions) capacity(keyBytes int) int {
	if o.kind == ipc.KindLimitReq {
		return limitreq.Capacity(o.sizeBytes, keyBytes)
	}
	return limitconn.Capacity(o.sizeBytes, keyBytes)
}

// content is what a zone counts. The kinds differ in that; how they are made, kept and given up is the same for all.
type content interface {
	Close() error
	FD() int
	SizeBytes() int64
	Mutex() *shmtx.Mutex
	Check() []error

	// matches says whether the zone can go on serving a config that asks for o, once it has grown.
	matches(o *zoneOptions) bool
	// grow makes it as large as o says, if it can grow and is not. It takes its time, and the lock.
	grow(o *zoneOptions) (grown bool, err error)
	// numbers are the present ones; with try, false when somebody has the lock.
	numbers(try bool) (zoneNumbers, bool)
	// reap gives back what a dead worker held.
	reap(slot int) (connections int, err error)
	// rebuild makes a damaged zone sound, with what can be saved; it says what that was.
	rebuild(alive func(slot int) bool) ([]zap.Field, error)
	// top lists keys, those that matter most first.
	top(n int, template string, pids map[int]int) ([]ZoneKey, error)
	// clear forgets a key.
	clear(key []byte) (connections int, found bool, err error)
}

// errDamaged says that the zone's bytes contradict each other, whatever its kind.
func errDamaged(err error) bool {
	return errors.Is(err, limitconn.ErrDamaged) || errors.Is(err, limitreq.ErrDamaged)
}

// zoneNumbers is what a zone says of itself, as far as all kinds have it, and what of it is for those who ask.
type zoneNumbers struct {
	ZoneStatus
	slab     slab.Stats
	lock     shmtx.Counters
	checkDue bool
	usedPart float64
}

// createContent makes a new zone.
func createContent(o *zoneOptions, owner *shmtx.Owner) (content, error) {
	if o.kind == ipc.KindLimitReq {
		z, err := limitreq.Create(limitreq.Options{Name: o.name, Key: o.key, SizeBytes: o.sizeBytes, Mutex: o.mutex}, owner)
		return rates{z}, err
	}
	options := limitconn.Options{Name: o.name, Key: o.key, SizeBytes: o.sizeBytes, Mutex: o.mutex}
	if o.kind == ipc.KindMaxConns {
		options.MostBytes = conf.MaxConnsBytesMost
	}
	z, err := limitconn.Create(options, owner)
	return connections{z}, err
}

// attachContent opens a zone of another master, and says which one it is. On an error the descriptor is still the caller's.
func attachContent(kind string, fd int, owner *shmtx.Owner) (content, zoneOptions, error) {
	switch kind {
	case ipc.KindLimitReq:
		z, err := limitreq.Attach(fd, owner)
		if err != nil {
			return nil, zoneOptions{}, err
		}
		return rates{z}, zoneOptions{kind, z.Name(), z.Key(), z.SizeBytes(), z.Mutex().Kind()}, nil
	case ipc.KindLimitConn, ipc.KindMaxConns:
		z, err := limitconn.Attach(fd, owner, limitconn.NoSlot)
		if err != nil {
			return nil, zoneOptions{}, err
		}
		return connections{z}, zoneOptions{kind, z.Name(), z.Key(), z.SizeBytes(), z.Mutex().Kind()}, nil
	}
	return nil, zoneOptions{}, fmt.Errorf("zone of the unknown kind %q", kind)
}

// connections are those of limit_conn, and the attempts of max_conns.
type connections struct{ *limitconn.Zone }

func (c connections) matches(o *zoneOptions) bool {
	if o.kind == ipc.KindMaxConns { // there is one, for as long as weir runs
		return true
	}
	return o.kind != ipc.KindLimitReq && c.Matches(limitconn.Options{Name: o.name, Key: o.key, SizeBytes: o.sizeBytes, Mutex: o.mutex})
}

func (c connections) grow(o *zoneOptions) (bool, error) {
	if o.kind != ipc.KindMaxConns || c.SizeBytes() >= o.sizeBytes {
		return false, nil
	}
	return true, c.Grow(o.sizeBytes)
}

func (c connections) numbers(try bool) (zoneNumbers, bool) {
	var s limitconn.Status
	if ok := true; try {
		if s, ok = c.TryStatus(); !ok {
			return zoneNumbers{}, false
		}
	} else {
		s = c.Status()
	}
	return zoneNumbers{
		ZoneStatus: ZoneStatus{
			Keys: s.Keys, DeletedKeys: s.Orphans, Passed: s.Passed, Rejected: s.Rejected, DryRun: s.DryRun, Bypassed: s.Bypassed, Failures: s.Full,
			Waiting: s.Waiting, Waited: s.Waits.Given, Late: s.Waits.Late, Left: s.Waits.Left, Overflow: s.Waits.Overflowed,
			Stale: s.Stale, Faults: s.Faults, Rebuilds: s.Rebuilds, Sound: s.Sound,
		},
		slab: s.Slab, lock: s.Lock, checkDue: s.CheckDue, usedPart: s.UsedPart,
	}, true
}

func (c connections) reap(slot int) (int, error) { return c.Reap(slot) }

func (c connections) rebuild(alive func(slot int) bool) ([]zap.Field, error) {
	done, err := c.Rebuild(alive)
	return []zap.Field{zap.Int("keys", done.Keys), zap.Int("connections", done.Connections), zap.Int("lost", done.Lost)}, err
}

func (c connections) top(n int, template string, pids map[int]int) ([]ZoneKey, error) {
	list := []ZoneKey{}
	entries, err := c.Top(n)
	for i := range entries {
		list = append(list, zoneKey(template, &entries[i], pids))
	}
	return list, err
}

func (c connections) clear(key []byte) (connections int, found bool, err error) { return c.Delete(key) }

// rates are those of limit_req.
type rates struct{ *limitreq.Zone }

func (r rates) matches(o *zoneOptions) bool {
	return o.kind == ipc.KindLimitReq && r.Matches(limitreq.Options{Name: o.name, Key: o.key, SizeBytes: o.sizeBytes, Mutex: o.mutex})
}

func (r rates) grow(*zoneOptions) (bool, error) { return false, nil }

func (r rates) numbers(try bool) (zoneNumbers, bool) {
	var s limitreq.Status
	if ok := true; try {
		if s, ok = r.TryStatus(); !ok {
			return zoneNumbers{}, false
		}
	} else {
		s = r.Status()
	}
	return zoneNumbers{
		ZoneStatus: ZoneStatus{
			Keys: s.Keys, Passed: s.Passed, Delayed: s.Delayed, Rejected: s.Rejected, DryRun: s.DryRun, Bypassed: s.Bypassed, Evicted: s.Evicted,
			Failures: s.Full, Faults: s.Faults, Rebuilds: s.Emptied, Sound: s.Sound,
		},
		slab: s.Slab, lock: s.Lock, checkDue: s.CheckDue, usedPart: s.UsedPart,
	}, true
}

// reap has nothing to do: what was let through was let through, whoever did it.
func (r rates) reap(int) (int, error) { return 0, nil }

func (r rates) rebuild(func(int) bool) ([]zap.Field, error) {
	r.Empty()
	return []zap.Field{zap.Int("keys", 0)}, nil
}

func (r rates) top(n int, template string, _ map[int]int) ([]ZoneKey, error) {
	list := []ZoneKey{}
	entries, err := r.Newest(n)
	for _, e := range entries {
		list = append(list, ZoneKey{Key: zonekey.Text(template, e.Key), Shares: []ZoneShare{}})
	}
	return list, err
}

func (r rates) clear(key []byte) (connections int, found bool, err error) {
	found, err = r.Delete(key)
	return 0, found, err
}
