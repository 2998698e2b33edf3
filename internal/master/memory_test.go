// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"testing"

	"github.com/stretchr/testify/require"

	"weir/conf"
)

func TestHeapShare(t *testing.T) {
	const giga = 1 << 30
	require.EqualValues(t, giga/2/3, heapShare(giga, 1))
	require.EqualValues(t, giga/2/9, heapShare(giga, 4))
	require.EqualValues(t, heapShareMin, heapShare(64<<20, 4), "a heap that is bounded too tightly only costs time")
}

func TestMemoryOf(t *testing.T) {
	load := func(text string) *conf.Config {
		config, _, err := conf.Load(conf.Source{Name: "weir.toml", Text: []byte("worker_processes = 2\nworker_connections = 1000\n" + text), Prefix: "/"})
		require.NoError(t, err)
		return config
	}
	plain := memoryOf(load(""))
	require.Greater(t, plain, int64(2*2000*16<<10), "two workers with two blocks for each connection")
	require.Less(t, memoryOf(load("buffers = { limit = 100, size = '4k', maxrewrite = '256' }")), plain)
	require.Equal(t, int64(10<<20), memoryOf(load("[http.limit_conn_zone.a]\nkey = '$remote_addr'\nsize = '10m'\n"))-plain)
	require.Equal(t, int64(5<<20), memoryOf(load("[http.limit_req_zone.a]\nkey = '$remote_addr'\nsize = '5m'\nrate = '1r/s'\n"))-plain)
}

func TestMemoryWarning(t *testing.T) {
	require.Empty(t, memoryWarning(100<<20, 100<<20))
	require.Contains(t, memoryWarning(101<<20, 100<<20), "up to 101 MiB of memory, its control group has 100 MiB")
}
