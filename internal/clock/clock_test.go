// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package clock

import (
	"strconv"
	"testing"
	"time"
	_ "time/tzdata" // not every machine has a zone database

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"weir/internal/sys"
)

func TestTexts(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		berlin = time.FixedZone("CET", 3600) // no zone database here: the winter cases hold all the same
	}
	nepal := time.FixedZone("", 5*3600+45*60)
	marquesas := time.FixedZone("", -(9*3600 + 30*60))

	for _, tt := range []struct {
		name               string
		zone               *time.Location
		unixNs             int64
		http, log, iso, ms string
	}{
		{"the RFC's example", time.UTC, 784111777_000_000_000,
			"Sun, 06 Nov 1994 08:49:37 GMT", "06/Nov/1994:08:49:37 +0000", "1994-11-06T08:49:37+00:00", "784111777.000"},
		{"east of Greenwich", berlin, 784111777_007_999_999,
			"Sun, 06 Nov 1994 08:49:37 GMT", "06/Nov/1994:09:49:37 +0100", "1994-11-06T09:49:37+01:00", "784111777.007"},
		{"a zone with minutes", nepal, 784111777_120_000_000,
			"Sun, 06 Nov 1994 08:49:37 GMT", "06/Nov/1994:14:34:37 +0545", "1994-11-06T14:34:37+05:45", "784111777.120"},
		{"west, with minutes, the day before", marquesas, 784111777_999_999_999,
			"Sun, 06 Nov 1994 08:49:37 GMT", "05/Nov/1994:23:19:37 -0930", "1994-11-05T23:19:37-09:30", "784111777.999"},
		{"a leap day", time.UTC, 1709164800_500_000_000,
			"Thu, 29 Feb 2024 00:00:00 GMT", "29/Feb/2024:00:00:00 +0000", "2024-02-29T00:00:00+00:00", "1709164800.500"},
		{"the epoch", time.UTC, 0,
			"Thu, 01 Jan 1970 00:00:00 GMT", "01/Jan/1970:00:00:00 +0000", "1970-01-01T00:00:00+00:00", "0.000"},
		{"a machine whose battery is empty", time.UTC, -1,
			"Wed, 31 Dec 1969 23:59:59 GMT", "31/Dec/1969:23:59:59 +0000", "1969-12-31T23:59:59+00:00", "-1.999"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := New(tt.zone)
			c.Set(c.Ns(), tt.unixNs)
			require.Equal(t, tt.http, string(c.HTTPDate()))
			require.Equal(t, tt.log, string(c.LogTime()))
			require.Equal(t, tt.iso, string(c.ISO8601()))
			require.Equal(t, tt.ms, string(c.MsecText()))
		})
	}
}

// Summer time begins while the clock runs: the offset changes from one second to the next.
func TestZoneChanges(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	c := New(berlin)
	before := time.Date(2025, 3, 30, 0, 59, 59, 0, time.UTC).UnixNano()
	c.Set(c.Ns(), before)
	require.Equal(t, "30/Mar/2025:01:59:59 +0100", string(c.LogTime()))
	c.Set(c.Ns()+nsPerSec, before+nsPerSec)
	require.Equal(t, "30/Mar/2025:03:00:00 +0200", string(c.LogTime()))
	require.Equal(t, "2025-03-30T03:00:00+02:00", string(c.ISO8601()))
}

// Whatever way the wall clock takes, forward, backward, within a second or over years, everything shows its present
// second.
func TestModel(t *testing.T) {
	zone := time.FixedZone("", 3600)
	rapid.Check(t, func(rt *rapid.T) {
		c := New(zone)
		ns, unixNs := c.Ns(), int64(1_700_000_000_000_000_000)
		for range rapid.IntRange(1, 50).Draw(rt, "turns") {
			ns += rapid.Int64Range(0, 3*nsPerSec).Draw(rt, "turn")
			unixNs += rapid.OneOf(
				rapid.Int64Range(-2*nsPerMs, 2*nsPerMs),
				rapid.Int64Range(-2*nsPerSec, 2*nsPerSec),
				rapid.Int64Range(-1000*86400*nsPerSec, 1000*86400*nsPerSec),
			).Draw(rt, "step")
			c.Set(ns, unixNs)

			at := time.Unix(0, unixNs)
			require.Equal(rt, ns, c.Ns())
			require.Equal(rt, ns/1e6, c.Ms())
			require.Equal(rt, at.Unix(), c.Unix())
			require.Equal(rt, at.UnixMilli(), c.UnixMs())
			require.Equal(rt, at.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT"), string(c.HTTPDate()))
			require.Equal(rt, at.In(zone).Format("02/Jan/2006:15:04:05 -0700"), string(c.LogTime()))
			require.Equal(rt, strconv.FormatInt(at.UnixMilli()/1000, 10)+at.Format(".000"), string(c.MsecText()))
		}
	})
}

// Against the real clocks: what a clock shows lies between what they said before and after.
func TestUpdate(t *testing.T) {
	c := New(time.Local)
	lastNs := c.Ns()
	require.GreaterOrEqual(t, lastNs, startNs)
	for end := time.Now().Add(3 * time.Duration(offsetLifeNs)); time.Now().Before(end); {
		before := time.Now()
		c.Update()
		after := time.Now()
		require.GreaterOrEqual(t, c.Ns(), lastNs)
		require.GreaterOrEqual(t, c.Ns(), startNs+int64(before.Sub(c.origin)))
		require.LessOrEqual(t, c.Ns(), startNs+int64(after.Sub(c.origin)))
		// For a clock that is being slewed while the test runs.
		const slewMs = 5
		require.GreaterOrEqual(t, c.UnixMs(), before.UnixMilli()-slewMs)
		require.LessOrEqual(t, c.UnixMs(), after.UnixMilli()+slewMs)
		lastNs = c.Ns()
	}
}

// The offset is looked at again when it is old, and not before.
func TestStepIsSeen(t *testing.T) {
	c := New(time.UTC)
	c.offsetNs -= 3600 * nsPerSec // as if the wall clock had been an hour behind when it was looked at
	c.offsetEndNs = startNs + 1<<62
	c.Update()
	require.InDelta(t, time.Now().Unix()-3600, c.Unix(), 2)
	c.offsetEndNs = c.Ns()
	c.Update()
	require.InDelta(t, time.Now().Unix(), c.Unix(), 2)
	require.Equal(t, c.Ns()+offsetLifeNs, c.offsetEndNs)
}

// TestSharedNs: clocks made at different times, as those of two workers are, agree in it, and it is the kernel's.
func TestSharedNs(t *testing.T) {
	older := New(time.UTC)
	for older.Ns() < startNs+int64(20*time.Millisecond) {
		older.Update()
	}
	younger := New(time.UTC)
	for range 100 {
		const slack = int64(100 * time.Microsecond)
		older.Update()
		first := older.SharedNs()
		younger.Update()
		kernel := sys.MonotonicNs()
		older.Update()
		last := older.SharedNs()
		require.LessOrEqual(t, first, younger.SharedNs()+slack)
		require.LessOrEqual(t, younger.SharedNs(), kernel+slack)
		require.LessOrEqual(t, kernel, last+slack)
	}
}

func TestNoAllocations(t *testing.T) {
	c := New(time.Local)
	ns, unixNs := c.Ns(), int64(1_700_000_000_000_000_000)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		ns, unixNs = ns+nsPerSec, unixNs+nsPerSec
		c.Set(ns, unixNs)
		c.MsecText()
		c.offsetEndNs = 0
		c.Update()
	}))
}

func BenchmarkUpdate(b *testing.B) {
	c := New(time.Local)
	b.ReportAllocs()
	for b.Loop() {
		c.Update()
	}
}

func BenchmarkNewSecond(b *testing.B) {
	c := New(time.Local)
	ns, unixNs := c.Ns(), int64(1_700_000_000_000_000_000)
	b.ReportAllocs()
	for b.Loop() {
		ns, unixNs = ns+nsPerSec, unixNs+nsPerSec
		c.Set(ns, unixNs)
	}
}

func BenchmarkMsecText(b *testing.B) {
	c := New(time.Local)
	b.ReportAllocs()
	for b.Loop() {
		c.MsecText()
	}
}
