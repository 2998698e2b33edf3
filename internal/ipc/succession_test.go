// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package ipc

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"weir/internal/sys"
)

func succession() *Manifest {
	m := sample()
	m.Config, m.Logs, m.ErrorLog, m.Slot, m.Worker, m.Workers = 0, nil, "", 0, 0, 0
	m.HandOverSend, m.HandOverReceive = 15, 16
	m.Succession = &Succession{
		Format: SuccessionFormat, Control: 17, ControlPath: "/run/weir.sock", PidPath: "/run/weir.pid",
		Generations: []Forebear{{Number: 3, Zones: []int{4}, Older: []int{2}}},
	}
	return m
}

func TestSuccessionSurvivesTheMemoryFile(t *testing.T) {
	want := succession()
	require.NoError(t, want.Check())
	require.NoError(t, want.Succession.Check())
	fd, err := want.Seal()
	require.NoError(t, err)
	defer sys.Close(fd)
	got, err := ReadManifest(fd)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(want, got))
	require.ElementsMatch(t, []int{0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16, 17, 20}, got.Descriptors())
}

func TestSuccessionCheck(t *testing.T) {
	m := succession()
	m.Succession.Control = 7
	require.ErrorContains(t, m.Check(), "control socket and listener 127.0.0.1:80 have the same descriptor 7")
	m = succession()
	m.Succession.Format++
	require.ErrorContains(t, m.Succession.Check(), "it takes a restart")
	m = succession()
	m.Succession.Generations = nil
	require.ErrorContains(t, m.Succession.Check(), "no generation")
}
