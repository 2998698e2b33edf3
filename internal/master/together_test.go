// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"testing"

	"github.com/stretchr/testify/require"

	"weir/internal/ipc"
	"weir/internal/sys"
)

// An old master that drains is told to stop with this one, in whichever order the loop hears of both.
func TestStopEndsTheOldMasterToo(t *testing.T) {
	for _, first := range []string{"stop", "retiring"} {
		ours, theirs, err := ipc.OpenPair()
		require.NoError(t, err)
		old := ipc.NewChannel(theirs)
		m := &master{predecessor: &predecessor{peer: newPeer(1, ours), taken: true}}
		steps := []func(){
			func() { m.becomeStopping(nil) },
			func() { m.onPredecessor(word{peer: m.predecessor.peer, message: ipc.Message{Kind: ipc.Retiring}}) },
		}
		if first == "retiring" {
			steps[0], steps[1] = steps[1], steps[0]
		}
		steps[0]()
		_, _, err = old.Recv()
		require.ErrorIs(t, err, ipc.ErrAgain, "%s first: it is told too early", first)
		steps[1]()
		told, _, err := old.Recv()
		require.NoError(t, err, "%s first", first)
		require.Equal(t, ipc.Stop, told.Kind)
		require.NoError(t, m.predecessor.socket.Close())
		sys.Close(theirs)
	}
}
