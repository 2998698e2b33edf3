// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package ipc

import (
	"net/netip"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"weir/internal/sys"
)

func sample() *Manifest {
	return &Manifest{
		Build: "1.0", Slot: 2, Generation: 3, Worker: 1, Workers: 2, Slots: 64, MasterPID: 100,
		Prefix: "/srv",
		Config: 4, Channel: 5, Stats: 6, Table: 14, Peers: 20,
		Listeners: []Listener{
			{Protocol: "tcp4", Address: "127.0.0.1:80", FD: 7},
			{Protocol: "tcp6", Address: "[::]:80", IPv6Only: true, FD: 8},
			{Protocol: "unix", Address: "/run/a.sock", FD: 9},
			{Protocol: "tcp4", Address: "127.0.0.1:80", ReusePort: true, FD: 10},
		},
		Zones: []Zone{
			{Name: "addr", Kind: KindLimitConn, Serial: 2, Older: true, FD: 13},
			{Name: "addr", Kind: KindLimitConn, Serial: 4, FD: 11},
		},
		Logs:     []Log{{Path: "/srv/a.log", FD: 12}, {Path: "stderr", FD: 2}},
		ErrorLog: "stderr",
	}
}

func TestManifestSurvivesTheMemoryFile(t *testing.T) {
	want := sample()
	require.NoError(t, want.Check())
	fd, err := want.Seal()
	require.NoError(t, err)
	file := os.NewFile(uintptr(fd), "manifest") // closes it
	defer file.Close()
	for range 2 { // reading moves no offset: another reader of the same file reads the same
		got, err := ReadManifest(fd)
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(want, got))
	}
	_, err = file.WriteAt([]byte("x"), 0)
	require.ErrorIs(t, err, os.ErrPermission, "sealed")
	require.Error(t, file.Truncate(0))
}

func TestReadManifestRefuses(t *testing.T) {
	plain, err := os.CreateTemp(t.TempDir(), "")
	require.NoError(t, err)
	defer plain.Close()
	_, err = ReadManifest(int(plain.Fd()))
	require.ErrorContains(t, err, "weir-worker is started by weir, not by hand")

	garbage, err := sys.SealedFile("garbage", []byte("{"))
	require.NoError(t, err)
	defer sys.Close(garbage)
	_, err = ReadManifest(garbage)
	require.ErrorContains(t, err, "unexpected end of JSON input")

	_, err = sys.ReadSealedFile(garbage, 0)
	require.ErrorContains(t, err, "1 bytes, at most 0 wanted")
}

func TestManifestFinds(t *testing.T) {
	m := sample()
	require.Len(t, m.ListenersAt("tcp4", "127.0.0.1:80"), 2)
	require.Equal(t, []Listener{m.Listeners[2]}, m.ListenersAt("unix", "/run/a.sock"))
	require.Empty(t, m.ListenersAt("tcp6", "127.0.0.1:80"))
	fd, ok := m.Log("/srv/a.log")
	require.True(t, ok)
	require.Equal(t, 12, fd)
	_, ok = m.Log("/srv/b.log")
	require.False(t, ok)
	fd, ok = m.Zone("addr")
	require.True(t, ok)
	require.Equal(t, 11, fd, "not the older one")
	_, ok = m.Zone("adr")
	require.False(t, ok)
	require.Equal(t, m.Zones[:1], m.OlderZones("addr"))
	require.Empty(t, m.OlderZones("adr"))
	require.ElementsMatch(t, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 20}, m.Descriptors())
}

func TestManifestCheck(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(*Manifest)
		want  string
	}{
		{"slot", func(m *Manifest) { m.Slot = 64 }, "slot 64 of 64"},
		{"worker", func(m *Manifest) { m.Worker = -1 }, "worker -1 of 2"},
		{"twice", func(m *Manifest) { m.Zones[0].FD = 7 }, "listener 127.0.0.1:80 and zone addr have the same descriptor 7"},
		{"missing", func(m *Manifest) { m.Stats = 0 }, "stats has descriptor 0, which is not its own"},
		{"no table", func(m *Manifest) { m.Table = 0 }, "slot table has descriptor 0"},
		{"manifest's", func(m *Manifest) { m.Config = ManifestFD }, "config has descriptor 3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := sample()
			c.spoil(m)
			require.ErrorContains(t, m.Check(), c.want)
		})
	}
}

func TestCheckBuild(t *testing.T) {
	require.NoError(t, sample().CheckBuild("1.0"))
	require.EqualError(t, sample().CheckBuild("1.1"),
		`weir-worker is build "1.1", the master that started it is build "1.0": install both from one build`)
}

func TestAddressKey(t *testing.T) {
	for _, c := range []struct{ ip, path, protocol, address string }{
		{"127.0.0.1:80", "", "tcp4", "127.0.0.1:80"},
		{"0.0.0.0:80", "", "tcp4", "0.0.0.0:80"},
		{"[::]:80", "", "tcp6", "[::]:80"},
		{"[::1]:80", "", "tcp6", "[::1]:80"},
		{"", "/run/x.sock", "unix", "/run/x.sock"},
	} {
		var ip netip.AddrPort
		if c.ip != "" {
			ip = netip.MustParseAddrPort(c.ip)
		}
		protocol, address := AddressKey(ip, c.path)
		require.Equal(t, c.protocol, protocol)
		require.Equal(t, c.address, address)
	}
}
