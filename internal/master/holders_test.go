// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"weir/internal/ipc"
)

// TestStatusSaysWhatHoldsAGeneration: the workers that drain are asked, and what they say is added up.
func TestStatusSaysWhatHoldsAGeneration(t *testing.T) {
	w := newWeir(t, "slow", twoWorkers).start()
	_, o := w.post("/reload")
	require.True(t, o.OK, o.Error)
	s := w.status()
	require.Len(t, s.Generations, 2)
	old, present := s.Generations[0], s.Generations[1]
	require.Equal(t, []any{1, "draining", 2}, []any{old.Number, old.State, old.Workers})
	require.Equal(t, []any{2, "serving", 2}, []any{present.Number, present.State, present.Workers})
	require.Len(t, old.Held, 1)
	require.Equal(t, 2, old.Held[0].Count)
	require.GreaterOrEqual(t, old.Held[0].OldestMs, int64(1000))
	require.Empty(t, present.Held)
	require.Positive(t, old.MemoryBytes)
}

func TestHoldersAreAddedUp(t *testing.T) {
	a := ipc.Holder{What: "request", Server: "a", Location: "/", Count: 1, OldestMs: 5}
	b := ipc.Holder{What: "tunnel", Server: "a", Location: "/", Count: 3, OldestMs: 2}
	sum := addHolders(addHolders(nil, []ipc.Holder{a, b}), []ipc.Holder{a})
	a.Count = 2
	require.Equal(t, []ipc.Holder{b, a}, sum)
	require.Equal(t, int64(1005), aged([]ipc.Holder{a}, time.Second)[0].OldestMs)
}
