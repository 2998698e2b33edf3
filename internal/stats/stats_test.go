// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package stats

import (
	"reflect"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func create(t *testing.T, slots int) *Segment {
	t.Helper()
	s, err := Create("test", slots)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.Empty(t, s.Check())
		require.NoError(t, s.Close())
	})
	return s
}

// TestFieldsMatchPage writes through each named field of a page and reads by number.
func TestFieldsMatchPage(t *testing.T) {
	s := create(t, 3)
	page := reflect.ValueOf(s.Slot(1)).Elem()
	require.Equal(t, int(NumFields), page.NumField())
	for f := range NumFields {
		require.Equal(t, strings.ToLower(page.Type().Field(int(f)).Name), strings.ReplaceAll(f.String(), "_", ""))
		before := s.Sum()
		page.Field(int(f)).Addr().Interface().(*Counter).Add(uint64(f) + 7)
		before[f] += uint64(f) + 7
		require.Equal(t, before, s.Sum())
	}
	require.Equal(t, "unknown", NumFields.String())
}

func TestRetire(t *testing.T) {
	s := create(t, 2)
	p := s.Slot(0)
	p.Accepted.Add(5)
	p.Active.Inc()
	p.Active.Inc()
	p.Active.Dec()
	s.Slot(1).Requests.Add(9)
	require.Equal(t, Values{Active: 1, Accepted: 5, Requests: 9}, s.Sum())

	for range 2 { // once, and once more because the first was cut short
		s.Retire(0)
		require.Equal(t, Values{Accepted: 5, Requests: 9}, s.Sum())
		require.Equal(t, Values{}, s.Worker(0))
		require.Equal(t, Values{Accepted: 5}, s.Retired())
	}
	p.Accepted.Inc() // the next holder
	p.Waiting.Inc()
	require.Equal(t, Values{Accepted: 1, Waiting: 1}, s.Worker(0))
	require.Equal(t, Values{Accepted: 6, Waiting: 1, Requests: 9}, s.Sum())
}

// TestAttach reads through a second mapping, as another process does.
func TestAttach(t *testing.T) {
	s := create(t, 64)
	fd, err := syscall.Dup(s.FD())
	require.NoError(t, err)
	other, err := Attach(fd)
	require.NoError(t, err)
	require.Equal(t, 64, other.Slots())
	s.Slot(63).StaleEvents.Inc()
	require.Equal(t, Values{StaleEvents: 1}, other.Sum())
	require.NoError(t, other.Close())

	_, err = Create("test", 0)
	require.ErrorContains(t, err, "at least 1")
	require.Panics(t, func() { s.Slot(64) })
}

func BenchmarkInc(b *testing.B) {
	s, err := Create("bench", 1)
	require.NoError(b, err)
	defer s.Close()
	p := s.Slot(0)
	b.ReportAllocs()
	for b.Loop() {
		p.Requests.Inc()
	}
}
