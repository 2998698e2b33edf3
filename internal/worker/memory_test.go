// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package worker

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"weir/conf"
	"weir/internal/budget"
	"weir/internal/buffer"
	"weir/internal/conn"
	"weir/internal/eventpipe"
	"weir/internal/filter"
	"weir/internal/http1"
	"weir/internal/limitconn"
	"weir/internal/request"
	"weir/internal/stats"
	"weir/internal/upstream"
)

// TestSizes: what package budget takes for the size of an object is not too little.
func TestSizes(t *testing.T) {
	size := func(v any) int { return int(reflect.TypeOf(v).Size()) }
	const slot = 24 // of the loop, with the interface in it
	require.LessOrEqual(t, size(conn.Conn{})+slot, budget.ConnectionBytes)
	require.LessOrEqual(t, size(http1.Field{}), budget.FieldBytes)
	require.LessOrEqual(t, size(buffer.Block{}), budget.BlockBytes)
	// A request's tables: two of 64 fields, which append makes of up to 85; some attempts with origins, and places under limits.
	tables := 2*85*size(http1.Field{}) + 4*size(upstream.Trial{}) + 4*size(limitconn.Hold{})
	require.LessOrEqual(t, size(request.Request{})+tables, budget.RequestBytes)
	require.LessOrEqual(t, eventpipe.BufBytes(1000, 16<<10), budget.Bufs(16<<10)*1000*budget.BufBytes)
	require.Equal(t, eventpipe.SplicePipes, budget.SplicePipes)
	require.Equal(t, eventpipe.SplicePipeBytes, budget.SplicePipeBytes)
	require.Equal(t, eventpipe.ScratchBytes, budget.ScratchBytes)
	require.LessOrEqual(t, request.CrowdedMax(4096), budget.LargeMax(4096))
	require.LessOrEqual(t, http1.DefaultLimits().Fields, 1000)
}

// TestMemory: users of one block size share a pool, and their limits add up; what is published is what the pools say.
func TestMemory(t *testing.T) {
	c, _, err := conf.Load(conf.Source{Text: []byte(`worker_connections = 20
buffers = { limit = 10, reserve = 3 }
[http]
request_pool_size = "16k"
connection_pool_size = 512
[[http.server]]
[[http.server]]
request_pool_size = 512
`)})
	require.NoError(t, err)
	segment, err := stats.Create("test", 2)
	require.NoError(t, err)
	defer segment.Close()
	m := memory{page: segment.Memory(1), totals: segment.Slot(1)}
	require.NoError(t, m.open(budget.Of(c), func() {}))
	require.Same(t, m.buffers, m.requests[16<<10])
	require.Same(t, m.requests[512], m.connections[512])
	require.Equal(t, 2, len(m.pools.All()))

	b := m.buffers.Acquire(buffer.ClassResponse)
	for range 23 {
		n := m.buffers.Acquire(buffer.ClassResponse)
		n.Next, b = b, n
	}
	require.Nil(t, m.buffers.Acquire(buffer.ClassAhead))
	arena := buffer.Arena{}
	arena.Init(m.connections[512], m.depot)
	arena.Alloc(600)
	m.publish()
	p, q := &m.page.Pools[0], &m.page.Pools[1]
	require.Equal(t, []uint64{16 << 10, uint64(stats.UserBuffers | stats.UserRequestPool), 24, 24, 30, 3, 24, 0, 0, 1, 0, 1},
		values(p))
	require.Equal(t, []uint64{512, uint64(stats.UserConnectionPool | stats.UserRequestPool), 0, 0, 40, 0, 0, 0, 0, 0, 0, 0}, values(q))
	require.Zero(t, m.page.Pools[2].SizeBytes.Load())
	require.EqualValues(t, 4096, m.page.Large.Used.Load())
	require.EqualValues(t, budget.Of(c).LargeBytes, m.page.Large.Limit.Load())

	m.buffers.ReleaseChain(b)
	arena.Reset()
	m.publish()
	require.Zero(t, p.Used.Load())
	require.Zero(t, p.Pressed.Load())
	require.Zero(t, m.page.Large.Used.Load())
	require.EqualValues(t, 4096, m.page.Large.Cached.Load())
	m.trim()
	m.publish()
	require.Zero(t, m.page.Large.Cached.Load())
	require.Empty(t, m.pools.Check())
	require.NoError(t, m.pools.Close())
}

// values are the numbers of a pool in their order.
func values(p *stats.PoolPage) (list []uint64) {
	v := reflect.ValueOf(p).Elem()
	for i := range v.NumField() {
		if v.Type().Field(i).IsExported() {
			list = append(list, v.Field(i).Addr().Interface().(*stats.Counter).Load())
		}
	}
	return list
}

// TestFilterBytes holds the budget to what changing bodies takes, which package filter measures.
func TestFilterBytes(t *testing.T) {
	require.GreaterOrEqual(t, budget.FilterBytes, filter.Bytes)
	require.GreaterOrEqual(t, budget.EncoderBytes, filter.GzipBytes)
	require.GreaterOrEqual(t, budget.DecoderBytes, filter.GunzipBytes)
}
