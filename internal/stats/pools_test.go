// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package stats

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMemory: the numbers of a slot's memory fill the slot to its end, do not touch the counters or another slot, and go with the worker.
func TestMemory(t *testing.T) {
	s := create(t, 3)
	require.Equal(t, pageBytes, int(memoryOffset)+int(reflect.TypeFor[MemoryPage]().Size()))
	m := s.Memory(1)
	fill := func(page any) {
		v := reflect.ValueOf(page).Elem()
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				v.Field(i).Addr().Interface().(*Counter).Set(uint64(i) + 1)
			}
		}
	}
	for i := range m.Pools {
		fill(&m.Pools[i])
	}
	fill(&m.Large)
	m.Bodies.SplicedBytes.Set(7)
	m.Bodies.NotSpliced[MaxNoSplice-1].Set(8)
	s.Slot(1).Accepted.Add(3)
	require.Equal(t, Values{Accepted: 3}, s.Sum())
	require.Equal(t, Values{}, s.Retired())
	require.EqualValues(t, 12, m.Pools[MaxPools-1].Pressed.Load())
	require.EqualValues(t, 5, m.Large.Failures.Load())
	for _, other := range []int{0, 2} {
		require.Equal(t, MemoryPage{}, *s.Memory(other))
	}

	s.Retire(1)
	require.Equal(t, MemoryPage{}, *m)
	require.Equal(t, Values{Accepted: 3}, s.Sum())
}

func TestPoolUsers(t *testing.T) {
	require.Empty(t, PoolUser(0).Names())
	require.Equal(t, []string{"buffers", "connection_pool_size"}, (UserBuffers | UserConnectionPool).Names())
	require.Equal(t, []string{"request_pool_size"}, UserRequestPool.Names())
}
