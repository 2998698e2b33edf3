// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package ipc

import (
	"net/netip"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"weir/internal/sys"
)

func queuePair(t *testing.T) (send, receive *Queue) {
	t.Helper()
	a, b, err := sys.SeqpacketPair()
	require.NoError(t, err)
	t.Cleanup(func() { sys.Close(a); sys.Close(b) })
	return NewQueue(a), NewQueue(b)
}

func TestConnectionsTravel(t *testing.T) {
	send, receive := queuePair(t)
	_, _, err := receive.Recv()
	require.ErrorIs(t, err, ErrAgain)
	null, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer null.Close()
	fd := int(null.Fd())
	plain := Connection{
		Listener: ListenerKey("tcp4", "127.0.0.1:80"), Peer: netip.MustParseAddrPort("192.0.2.1:1024"), Serial: 7, Requests: 3, AgeMs: 60, IdleMs: 75_000,
		Worker: Incarnation{Slot: 2, Generation: 5, PID: 99},
	}
	placed := Connection{Listener: "unix /run/x", Places: []Place{{Zone: 1 << 60, Share: 4096, Hash: 1 << 31, Epoch: 2}}}
	require.NoError(t, send.Send(&plain, fd))
	require.NoError(t, send.Send(&placed, fd, fd))
	for _, want := range []Connection{plain, placed} {
		got, fds, err := receive.Recv()
		require.NoError(t, err)
		require.Equal(t, want, *got)
		require.Len(t, fds, 1+len(want.Places))
		for _, fd := range fds {
			require.True(t, closedOnExec(t, fd))
			sys.Close(fd)
		}
	}
}

// TestBrokenConnections: what is not a connection leaves no descriptor open and nothing in the queue.
func TestBrokenConnections(t *testing.T) {
	send, receive := queuePair(t)
	_, _, err := receive.Recv()
	require.ErrorIs(t, err, ErrAgain)
	null, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer null.Close()
	before := openCount(t)
	for _, text := range []string{`{"listener":`, `{}`, `{"places":[{}]}`, `{"peer":"nonsense"}`} {
		fds := []int{int(null.Fd()), int(null.Fd()), int(null.Fd())}
		require.Zero(t, sys.SendRights(send.FD(), []byte(text), fds))
		_, _, err := receive.Recv()
		require.Error(t, err, text)
		require.NotErrorIs(t, err, ErrAgain)
	}
	require.Equal(t, before, openCount(t))
	require.ErrorContains(t, send.Send(&Connection{Places: make([]Place, PlacesMax+1)}), "65 places, at most 64 fit")
	_, _, err = receive.Recv()
	require.ErrorIs(t, err, ErrAgain)
}

// TestFullQueueOfConnections: when nobody reads, the sender keeps what it has; nothing is lost of what went in.
func TestFullQueueOfConnections(t *testing.T) {
	send, receive := queuePair(t)
	null, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer null.Close()
	sent := 0
	for ; sent < 1_000_000; sent++ {
		if err = send.Send(&Connection{Serial: uint64(sent)}, int(null.Fd())); err != nil {
			break
		}
	}
	require.ErrorIs(t, err, ErrAgain)
	require.Greater(t, sent, 8)
	for n := range sent {
		got, fds, err := receive.Recv()
		require.NoError(t, err)
		require.Equal(t, uint64(n), got.Serial)
		sys.Close(fds[0])
	}
	require.NoError(t, send.Send(&Connection{}, int(null.Fd())))
}
