// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package stats

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func peer(group, address string) Series { return Series{KindPeer, [2]string{group, address}} }

func all(Series) bool { return true }

// TestRow: a row has its place to itself, and each of its counters is what Total gives back.
func TestRow(t *testing.T) {
	require.EqualValues(t, rowBytes, reflect.TypeFor[Row]().Size())
	require.EqualValues(t, entryBytes, reflect.TypeFor[entry]().Size())
	s := create(t, 3)
	a, b := peer("app", "127.0.0.1:1"), Series{KindServer, [2]string{"app", "127.0.0.1:1"}}
	require.Nil(t, s.Row(a, 0))
	require.NoError(t, s.Register([]Series{a, b}, all))
	for slot := range 3 {
		words := reflect.ValueOf((*[60]Counter)(nil)) // as many as a Row has, without what is left over
		require.Equal(t, 60, words.Type().Elem().Len())
		r := s.Row(a, slot)
		n := uint64(0)
		fill(reflect.ValueOf(r).Elem(), &n)
	}
	totals := s.Totals()
	require.Len(t, totals, 2)
	require.Equal(t, []Series{a, b}, []Series{totals[0].Series, totals[1].Series})
	require.Equal(t, Row{}, totals[1].Row())
	want, n := Row{}, uint64(0)
	fill(reflect.ValueOf(&want).Elem(), &n)
	got := totals[0].Row()
	require.EqualValues(t, 3*want.Requests.Load(), got.Requests.Load())
	require.EqualValues(t, 3*want.Unavailable.Load(), got.Unavailable.Load())
	require.EqualValues(t, 3*want.FirstByte.SumNs.Load(), got.FirstByte.SumNs.Load())
	require.EqualValues(t, 3*want.Connect.Buckets[5].Load(), got.Connect.Buckets[5].Load())
	require.EqualValues(t, 3*want.Classes[4].Load(), got.Classes[4].Load())
}

// fill gives every counter in v another number.
func fill(v reflect.Value, n *uint64) {
	if !v.CanAddr() || !v.Addr().CanInterface() {
		return
	}
	if c, ok := v.Addr().Interface().(*Counter); ok {
		*n++
		c.Add(*n)
		return
	}
	for i := range v.NumField() {
		f := v.Field(i)
		if f.Kind() == reflect.Array {
			for j := range f.Len() {
				fill(f.Index(j), n)
			}
			continue
		}
		fill(f, n)
	}
}

// TestSeriesStay: what was counted for a series stays over the death of its worker and over other configs, but for the gauge.
func TestSeriesStay(t *testing.T) {
	s := create(t, 2)
	a, b := peer("app", "127.0.0.1:1"), peer("app", "127.0.0.1:2")
	require.NoError(t, s.Register([]Series{a}, all))
	r := s.Row(a, 0)
	r.Active.Inc()
	r.Requests.Add(5)
	r.Total.Observe(3_000_000)
	s.Retire(0)
	require.NoError(t, s.Register([]Series{b}, func(x Series) bool { return x == b }))
	require.NoError(t, s.Register([]Series{a, b}, all))
	r = s.Row(a, 1)
	r.Requests.Inc()
	got := s.Totals()
	require.Len(t, got, 2)
	sum := got[0].Row()
	require.Equal(t, []uint64{0, 6, 1, 3_000_000}, []uint64{sum.Active.Load(), sum.Requests.Load(), sum.Total.Buckets[3].Load(), sum.Total.SumNs.Load()})
}

// TestSeriesPlaces: many configs, one after the other, use places again and never mix the numbers of two series; who is in use keeps its own.
func TestSeriesPlaces(t *testing.T) {
	s := create(t, 1)
	kept := peer("app", "kept")
	require.NoError(t, s.Register([]Series{kept}, all))
	s.Row(kept, 0).Requests.Add(7)
	for i := range 3 * registerAnew {
		x := peer("app", fmt.Sprint(i))
		require.NoError(t, s.Register([]Series{kept, x}, func(y Series) bool { return y == kept || y == x }))
		row := s.Row(x, 0)
		require.Zero(t, row.Requests.Load())
		row.Requests.Add(uint64(i) + 1)
	}
	require.EqualValues(t, 7, s.Row(kept, 0).Requests.Load())
	require.Len(t, s.Totals(), registerAnew)

	var many []Series
	for i := range MaxSeries + 1 {
		many = append(many, peer("many", fmt.Sprint(i)))
	}
	require.ErrorContains(t, s.Register(many, all), "no room for more than 1024")
	require.EqualValues(t, 7, s.Row(kept, 0).Requests.Load())
}

// TestSeriesNames: a name that is too long is cut, and found all the same.
func TestSeriesNames(t *testing.T) {
	s := create(t, 1)
	long := peer(strings.Repeat("g", 300), strings.Repeat("p", 300))
	require.NoError(t, s.Register([]Series{long, peer("", "")}, all))
	require.NotNil(t, s.Row(long, 0))
	require.NotNil(t, s.Row(peer("", ""), 0))
	require.Len(t, s.Totals()[0].Name[1], seriesNameMax-300)
}

func TestHistogram(t *testing.T) {
	var h Histogram
	for _, ns := range []int64{-5, 0, 500_000, 500_001, 10_000_000_000, 10_000_000_001} {
		h.Observe(ns)
	}
	require.Equal(t, []uint64{3, 1, 1, 1}, []uint64{h.Buckets[0].Load(), h.Buckets[1].Load(), h.Buckets[12].Load(), h.Buckets[13].Load()})
	require.EqualValues(t, 20_001_000_002, h.SumNs.Load())
}
