// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conn

import (
	"net/netip"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"weir/internal/event"
	"weir/internal/shm"
	"weir/internal/shmtx"
	"weir/internal/sys"
)

const gateDelayMs = 40

// newGated is a listener behind a gate, and the word of the gate's lock.
func newGated(t *testing.T) (d *door, l *Listener, dial func(), word *uint32) {
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	owner, err := shmtx.NewOwner()
	require.NoError(t, err)
	segment, err := shm.Create(shm.Options{Name: "test", Kind: "accept", Features: shmtx.Features(shmtx.Atomic), SizeBytes: shm.MinBytes})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, segment.Close()) })
	mutex, err := shmtx.Open(segment, owner)
	require.NoError(t, err)
	d = &door{r: newRig(t, 4)}
	any := sys.SockaddrTCP(netip.MustParseAddrPort("127.0.0.1:0"))
	fd, err := sys.Listen(&any, &sys.ListenOptions{Backlog: 128})
	require.NoError(t, err)
	var at sys.Sockaddr
	require.Zero(t, sys.LocalAddr(fd, &at))
	gate := NewGate(mutex, gateDelayMs, d.r.loop)
	d.r.loop.SetGate(gate)
	l = gate.NewListener(3, fd, false, &d.r.timers, d.r.clock.Ms, d)
	t.Cleanup(func() {
		l.Close()
		for _, fd := range d.accepted {
			sys.Close(fd)
		}
	})
	return d, l, func() {
		fd, errno := sys.ConnectStart(&at, nil)
		require.Positive(t, fd, "%v", errno)
		t.Cleanup(func() { sys.Close(fd) })
	}, shm.At[uint32](segment, shm.LockArea)
}

// Each turn takes one connection, which is handed on when the lock is free again.
func TestGateAccepts(t *testing.T) {
	d, l, dial, word := newGated(t)
	d.then = func(*Listener) { require.Zero(t, *word, "the lock is held while somebody works") }
	for range 3 {
		dial()
	}
	for n := range 3 {
		d.until(d.has(n + 1))
		require.Len(t, d.accepted, n+1)
		require.Zero(t, *word)
	}
	require.Equal(t, listenActive, l.state, "it stays in the loop while nobody else takes the lock")
	require.True(t, d.peers[0].IsValid())
}

// held is a lock word of another thread.
const held = 1

// While another worker has the lock, this one is not woken by a connection, and tries again after the delay; when the other one dies, it gets it.
func TestGateShut(t *testing.T) {
	d, l, dial, word := newGated(t)
	d.r.turn()
	require.Equal(t, listenActive, l.state)
	*word = held
	dial()
	began := d.r.clock.Ms()
	d.r.loop.Turn()
	require.Equal(t, listenShut, l.state)
	require.GreaterOrEqual(t, d.r.clock.Ms(), began+gateDelayMs, "it sleeps, connection or not")
	d.r.turn()
	require.Empty(t, d.accepted)
	*word = sys.FutexOwnerDied
	d.until(d.has(1))
	require.Zero(t, *word)
}

// A timer that is due before the delay is over is not kept waiting.
func TestGateKeepsTimers(t *testing.T) {
	d, _, _, word := newGated(t)
	*word = held
	var a alarm
	var timer event.Timer
	timer.Init(&a)
	d.r.timers.Arm(&timer, d.r.clock.Ms()+1)
	for range 2 {
		d.r.loop.Turn()
	}
	require.True(t, a.rung)
}

// A worker whose places run out leaves the lock to the others for as long as they need to see that.
func TestGateYields(t *testing.T) {
	d, l, dial, word := newGated(t)
	d.loaded = true
	dial()
	began := d.r.clock.Ms()
	d.r.turn()
	require.Equal(t, listenShut, l.state)
	require.Zero(t, *word)
	d.until(d.has(1))
	require.GreaterOrEqual(t, d.r.clock.Ms(), began+gateDelayMs)
}

// Without any place the lock is free, and the socket comes back when there is one.
func TestGateWithoutRoom(t *testing.T) {
	d, l, dial, word := newGated(t)
	d.full = true
	dial()
	d.until(func() bool { return l.state == listenPaused })
	d.r.turn()
	require.Zero(t, *word)
	require.Empty(t, d.accepted)
	d.full = false
	d.until(d.has(1))
}

// A closed gate does not take the lock, nor end the loop's sleep.
func TestGateClose(t *testing.T) {
	d, l, dial, word := newGated(t)
	dial()
	dial()
	d.r.turn()
	require.Len(t, d.accepted, 1)
	l.Drain()
	require.Len(t, d.accepted, 2, "what was in the queue is served")
	require.Equal(t, listenClosed, l.state)
	*word = held
	require.Equal(t, -1, l.gate.Enter())
	l.gate.Leave()
	d.r.turn()
	require.Zero(t, d.r.timers.Linked())
}
