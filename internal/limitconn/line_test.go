// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package limitconn

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"weir/internal/shmtx"
)

// lineModel is what a zone with lines should hold. Its keys are "g\x00a", "g\x00b" ...: one line for each letter of a group.
type lineModel struct {
	t       *rapid.T
	z       *Zone
	most    map[string]uint32
	held    []lineHold
	waiting []*lineWaiter // of all lines, in order of their coming
	called  []*lineWaiter // of all slots, in order of their calls
	ids     uint32
}

type lineHold struct {
	hold Hold
	key  string
	slot int
}

type lineWaiter struct {
	id     uint32
	slot   int
	wants  []string
	ticket Ticket
	key    string // called for it; "": to ask anew
}

func (m *lineModel) count(key string) (n uint32) {
	for _, h := range m.held {
		if h.key == key {
			n++
		}
	}
	for _, w := range m.called {
		if w.key == key {
			n++
		}
	}
	return n
}

// freed gives a place of a key to who waits for it, as the zone is to do.
func (m *lineModel) freed(key string) {
	for i, w := range m.waiting {
		if slices.Contains(w.wants, key) && m.count(key) < m.most[key] {
			w.key = key
			m.waiting = slices.Delete(m.waiting, i, i+1)
			m.called = append(m.called, w)
			return
		}
	}
}

func (m *lineModel) wait(t *rapid.T) {
	w := &lineWaiter{slot: rapid.IntRange(0, 3).Draw(t, "slot")}
	group := rapid.SampledFrom([]string{"g", "h"}).Draw(t, "group")
	var wants []Want
	for _, name := range []string{"a", "b", "c"} {
		if key := group + "\x00" + name; len(wants) == 0 || rapid.Bool().Draw(t, "also "+name) {
			w.wants = append(w.wants, key)
			wants = append(wants, Want{Key: []byte(key), Max: m.most[key]})
		}
	}
	line := rapid.IntRange(1, 6).Draw(t, "line")
	m.ids++
	w.id = m.ids
	m.z.slot = w.slot
	var hold Hold
	which, v := m.z.Wait(Waiter{ID: w.id, Line: line}, wants, &hold, &w.ticket)
	for i, key := range w.wants {
		if m.count(key) < m.most[key] {
			require.Equal(t, Passed, v)
			require.Equal(t, i, which)
			require.True(t, hold.Under([]byte(key)))
			m.held = append(m.held, lineHold{hold, key, w.slot})
			return
		}
	}
	inLine := 0
	for _, other := range m.waiting {
		if other.wants[0][0] == group[0] {
			inLine++
		}
	}
	if inLine >= line {
		require.Equal(t, Rejected, v)
		return
	}
	require.Equal(t, Queued, v)
	m.waiting = append(m.waiting, w)
}

func (m *lineModel) release(t *rapid.T) {
	if len(m.held) == 0 {
		return
	}
	i := rapid.IntRange(0, len(m.held)-1).Draw(t, "hold")
	h := m.held[i]
	m.held = slices.Delete(m.held, i, i+1)
	m.z.slot = h.slot
	Release([]Hold{h.hold})
	m.freed(h.key)
}

func (m *lineModel) leave(t *rapid.T) {
	all := slices.Concat(m.waiting, m.called)
	if len(all) == 0 {
		return
	}
	w := all[rapid.IntRange(0, len(all)-1).Draw(t, "waiter")]
	m.z.slot = w.slot
	hold := Leave(&w.ticket, true, 0)
	require.Zero(t, w.ticket)
	require.Equal(t, w.key != "", hold.Under([]byte(w.key)))
	drop := func(x *lineWaiter) bool { return x == w }
	m.waiting, m.called = slices.DeleteFunc(m.waiting, drop), slices.DeleteFunc(m.called, drop)
	if w.key != "" {
		m.held = append(m.held, lineHold{hold, w.key, w.slot})
	}
}

func (m *lineModel) calls(t *rapid.T) {
	slot := rapid.IntRange(0, 3).Draw(t, "slot")
	m.z.slot = slot
	calls, anew := m.z.Calls(nil, 0)
	require.False(t, anew)
	for _, call := range calls {
		i := slices.IndexFunc(m.called, func(w *lineWaiter) bool { return w.slot == slot })
		require.GreaterOrEqual(t, i, 0)
		w := m.called[i]
		m.called = slices.Delete(m.called, i, i+1)
		require.Equal(t, w.id, call.ID, "the order of calls")
		require.Equal(t, w.key != "", call.Hold.Under([]byte(w.key)))
		if w.key != "" {
			m.held = append(m.held, lineHold{call.Hold, w.key, slot})
		}
	}
	require.False(t, slices.ContainsFunc(m.called, func(w *lineWaiter) bool { return w.slot == slot }))
}

func (m *lineModel) reap(t *rapid.T) {
	slot := rapid.IntRange(0, 3).Draw(t, "slot")
	_, err := m.z.Reap(slot)
	require.NoError(t, err)
	lost := map[string]bool{}
	for _, w := range m.called {
		if w.slot == slot && w.key != "" {
			lost[w.key] = true
		}
	}
	for _, h := range m.held {
		if h.slot == slot {
			lost[h.key] = true
		}
	}
	dead := func(w *lineWaiter) bool { return w.slot == slot }
	m.waiting, m.called = slices.DeleteFunc(m.waiting, dead), slices.DeleteFunc(m.called, dead)
	m.held = slices.DeleteFunc(m.held, func(h lineHold) bool { return h.slot == slot })
	// Which places are given back first is the zone's affair: who is called for them follows from it.
	for again := true; again; {
		again = false
		for i, w := range m.waiting {
			if s := m.z.waiter(w.ticket.at); s.line == 0 {
				for _, key := range w.wants {
					if (Hold{zone: m.z, hash: s.hash}).Under([]byte(key)) && lost[key] {
						w.key = key
					}
				}
				require.NotEmpty(t, w.key)
				m.waiting = slices.Delete(m.waiting, i, i+1)
				m.called = append(m.called, w)
				again = true
				break
			}
		}
	}
	m.orderCalls()
}

// orderCalls puts the called of each slot into the order of the zone.
func (m *lineModel) orderCalls() {
	if m.z.h.calls == 0 {
		return
	}
	place := map[uint32]int{}
	for _, off := range m.z.callLists().called {
		for n := 0; off != 0; off = m.z.waiter(off).slotNext {
			n--
			place[m.z.waiter(off).id] = n
		}
	}
	slices.SortStableFunc(m.called, func(a, b *lineWaiter) int { return place[a.id] - place[b.id] })
}

func (m *lineModel) clear(t *rapid.T) {
	key := rapid.SampledFrom([]string{"g\x00a", "g\x00b", "g\x00c"}).Draw(t, "key")
	if m.count(key) == 0 || slices.ContainsFunc(m.called, func(w *lineWaiter) bool { return w.key == key }) {
		return // whose place counts nowhere then, which the model does not know
	}
	_, found, err := m.z.Delete([]byte(key))
	require.NoError(t, err)
	require.True(t, found)
	for i := range m.held {
		if m.held[i].key == key {
			m.held[i].key = "cleared"
		}
	}
	for _, w := range m.waiting {
		if w.wants[0][0] == 'g' {
			m.called = append(m.called, w)
		}
	}
	m.waiting = slices.DeleteFunc(m.waiting, func(w *lineWaiter) bool { return w.wants[0][0] == 'g' })
	m.orderCalls()
}

// TestLines compares a zone with a plain model of who waits and who has what. Check holds the zone to it that nobody waits while a place is free.
func TestLines(t *testing.T) {
	owner := newOwner(t)
	rapid.Check(t, func(t *rapid.T) {
		z, err := Create(Options{Name: "lines", Key: GroupKey, SizeBytes: 128 << 10, Mutex: shmtx.Atomic}, owner)
		require.NoError(t, err)
		defer func() { require.NoError(t, z.Close()) }()
		m := &lineModel{t: t, z: z, most: map[string]uint32{}}
		for i, key := range []string{"g\x00a", "g\x00b", "g\x00c", "h\x00a", "h\x00b", "h\x00c"} {
			m.most[key] = uint32(1 + i%2)
		}
		t.Repeat(map[string]func(*rapid.T){
			"wait": m.wait, "wait too": m.wait, "release": m.release, "leave": m.leave, "calls": m.calls, "reap": m.reap, "clear": m.clear,
			"": func(t *rapid.T) {
				require.Empty(t, z.check())
				s := z.Status()
				require.Equal(t, len(m.waiting), s.Waiting)
				for _, key := range []string{"g\x00a", "g\x00b", "h\x00a", "h\x00c"} {
					n, err := z.Count([]byte(key))
					require.NoError(t, err)
					require.Equal(t, int(m.count(key)), n, "%q", key)
				}
			},
		})
		for slot := range 4 {
			_, err := z.Reap(slot)
			require.NoError(t, err)
		}
		require.Zero(t, z.Status().Keys+z.Status().Orphans+z.Status().Waiting)
		require.Empty(t, z.Check())
	})
}

// TestCallsAreTold: whoever gives a place back tells whose it is now, after the lock is free; reaping tells all whom a dead worker may have left untold.
func TestCallsAreTold(t *testing.T) {
	z := newZone(t, 64<<10, shmtx.Atomic, 0)
	var told []int
	z.OnCall = func(slot int) {
		require.NotNil(t, z.mutex.TryLock())
		z.mutex.Unlock()
		told = append(told, slot)
	}
	held := take(t, z, 0, []byte("k"), 2)
	wait := func(slot int) {
		z.slot = slot
		var hold Hold
		var ticket Ticket
		_, v := z.Wait(Waiter{ID: 7, Line: 9}, []Want{{[]byte("k"), 2}}, &hold, &ticket)
		require.Equal(t, Queued, v)
		z.slot = 0
	}
	wait(3)
	wait(5)
	wait(0)
	Release(held[:1])
	require.Equal(t, []int{3}, told)
	Release(held[1:])
	require.Equal(t, []int{3, 5}, told)
	_, err := z.Reap(1)
	require.NoError(t, err)
	require.Equal(t, []int{3, 5, 3, 5}, told, "a worker that died may have been about to")
	_, err = z.Reap(3)
	require.NoError(t, err)
	require.Equal(t, []int{3, 5, 3, 5, 0, 5}, told)
}

// TestLineWithoutRoom: in a zone that is full nobody waits; who is in line is told when there is no room for its place.
func TestLineWithoutRoom(t *testing.T) {
	z := newZone(t, 32<<10, shmtx.Atomic, 0)
	held := take(t, z, 0, []byte("k"), 2)
	var hold Hold
	var ticket Ticket
	z.slot = 1
	_, v := z.Wait(Waiter{ID: 1, Line: 9}, []Want{{[]byte("k"), 2}}, &hold, &ticket)
	require.Equal(t, Queued, v)
	z.slot = 0
	for n := 0; ; n++ {
		if _, v, _ := Acquire(nil, []Limit{{Zone: z, Key: fmt.Appendf(nil, "%s%d", "longlonglonglonglonglonglonglong", n), Max: 1}}); v != Passed {
			break
		}
	}
	for n := 0; ; n++ {
		if _, v, _ := Acquire(nil, []Limit{{Zone: z, Key: fmt.Append(nil, n), Max: 1}}); v != Passed {
			break
		}
	}
	var more Ticket
	_, v = z.Wait(Waiter{ID: 2, Line: 9}, []Want{{[]byte("k"), 2}}, &hold, &more)
	require.Equal(t, Full, v)
	Release(held[:1]) // slot 1 has no share of the key, and there is no room for one
	z.slot = 1
	calls, _ := z.Calls(nil, 0)
	require.Equal(t, []Call{{ID: 1}}, calls)
	n, err := z.Count([]byte("k"))
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Empty(t, z.check())
}
