// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package clock

import (
	"math"
	"strconv"
	"time"

	"weir/internal/sys"
)

// The layouts of the rendered texts, in the notation of package time.
const (
	layoutDate    = "Date: Mon, 02 Jan 2006 15:04:05 GMT\r\n"
	layoutLog     = "02/Jan/2006:15:04:05 -0700"
	layoutISO8601 = "2006-01-02T15:04:05-07:00"
)

const (
	nsPerMs  = int64(time.Millisecond)
	nsPerSec = int64(time.Second)

	// offsetLifeNs is how long the distance between the two clocks is believed: the longest time for which a step
	// of the wall clock stays unseen.
	offsetLifeNs = 100 * nsPerMs

	// startNs is what Ns says when the clock is made. It is not 0, so that a field that holds 0 can mean "never".
	startNs = nsPerSec
)

// Clock is the time as of the last Update. Make it with New; not to be copied, not for several goroutines.
type Clock struct {
	origin time.Time // when New was called; carries a monotonic reading
	bootNs int64     // CLOCK_MONOTONIC when ns was 0
	zone   *time.Location

	ns         int64 // monotonic, startNs at origin
	ms         int64 // ns in whole milliseconds
	unixNs     int64 // wall clock
	secStartNs int64 // wall clock at the start of the second that the texts show
	sec        int64 // that second

	offsetNs    int64 // unixNs - ns when last looked at
	offsetEndNs int64 // the ns from which on the offset has to be taken anew

	dateLine []byte
	logTime  []byte
	iso8601  []byte
	msec     []byte // its last three digits are set by MsecText
}

// New makes a clock that shows the present, with local times in zone (time.Local: as TZ and /etc/localtime say, read
// once per process, as nginx does it).
func New(zone *time.Location) *Clock {
	c := &Clock{
		origin:   time.Now(),
		zone:     zone,
		dateLine: make([]byte, 0, len(layoutDate)),
		logTime:  make([]byte, 0, len(layoutLog)),
		iso8601:  make([]byte, 0, len(layoutISO8601)),
		msec:     make([]byte, 0, len("-9223372036.854")),
	}
	c.bootNs = c.findBoot()
	c.Update()
	return c
}

// findBoot reads CLOCK_MONOTONIC between two readings of the clock's own time, which is the same one from another origin. Of some
// tries the shortest counts: its error is at most half of what lies between the readings, well below a microsecond.
func (c *Clock) findBoot() (bootNs int64) {
	shortest := time.Duration(math.MaxInt64)
	for range 8 {
		before := time.Since(c.origin)
		ns := sys.MonotonicNs()
		after := time.Since(c.origin)
		if after-before < shortest {
			shortest = after - before
			bootNs = ns - startNs - int64(before+after)/2
		}
	}
	return bootNs
}

// Update reads the clocks. Once per turn of the loop, after the wait.
func (c *Clock) Update() {
	ns := startNs + int64(time.Since(c.origin))
	if ns >= c.offsetEndNs {
		now := time.Now()
		ns = startNs + int64(now.Sub(c.origin))
		c.offsetNs = now.UnixNano() - ns
		c.offsetEndNs = ns + offsetLifeNs
	}
	c.Set(ns, ns+c.offsetNs)
}

// Set makes the clock show a time given in nanoseconds: monotonic (ns, which must not run backwards) and since the epoch
// (unixNs). Update ends here; a simulation, which has no real time, calls it in the place of Update.
func (c *Clock) Set(ns, unixNs int64) {
	c.ns = ns
	c.ms = ns / nsPerMs
	c.unixNs = unixNs
	if uint64(unixNs-c.secStartNs) >= uint64(nsPerSec) || len(c.dateLine) == 0 {
		c.onSecond()
	}
}

// onSecond renders the texts for a second that they do not show yet.
func (c *Clock) onSecond() {
	c.sec = c.unixNs / nsPerSec
	if c.unixNs%nsPerSec < 0 {
		c.sec--
	}
	c.secStartNs = c.sec * nsPerSec

	t := time.Unix(c.sec, 0)
	c.dateLine = t.UTC().AppendFormat(c.dateLine[:0], layoutDate)
	t = t.In(c.zone)
	c.logTime = t.AppendFormat(c.logTime[:0], layoutLog)
	c.iso8601 = t.AppendFormat(c.iso8601[:0], layoutISO8601)
	c.msec = strconv.AppendInt(c.msec[:0], c.sec, 10)
	c.msec = append(c.msec, ".000"...)
}

// Ms is the monotonic time in milliseconds, from an origin of this clock's own. Never 0, never falling.
func (c *Clock) Ms() int64 { return c.ms }

// Ns is Ms in nanoseconds.
func (c *Clock) Ns() int64 { return c.ns }

// SharedNs is Ns from an origin that all processes have in common: CLOCK_MONOTONIC, to within a microsecond. It is for what stands in shared memory.
func (c *Clock) SharedNs() int64 { return c.bootNs + c.ns }

// SharedMs is SharedNs in whole milliseconds.
func (c *Clock) SharedMs() int64 { return c.SharedNs() / nsPerMs }

// SinceUpdate is how many nanoseconds ago the last Update was.
func (c *Clock) SinceUpdate() int64 { return startNs + int64(time.Since(c.origin)) - c.ns }

// Unix is the wall clock in seconds since the epoch: the second that the texts show.
func (c *Clock) Unix() int64 { return c.sec }

// UnixMs is the wall clock in milliseconds since the epoch.
func (c *Clock) UnixMs() int64 { return c.sec*1000 + (c.unixNs-c.secStartNs)/nsPerMs }

// HTTPDate is an IMF-fixdate (RFC 9110, section 5.6.7), as the Date header field has it. Valid until the next Update.
func (c *Clock) HTTPDate() []byte { return c.dateLine[len("Date: ") : len(c.dateLine)-len("\r\n")] }

// DateLine is the header field Date with HTTPDate, and the end of its line. Valid until the next Update.
func (c *Clock) DateLine() []byte { return c.dateLine }

// LogTime is local time in the common log format: nginx's $time_local. Valid until the next Update.
func (c *Clock) LogTime() []byte { return c.logTime }

// ISO8601 is local time as nginx's $time_iso8601 has it. Valid until the next Update.
func (c *Clock) ISO8601() []byte { return c.iso8601 }

// MsecText is the wall clock in seconds with three decimals: nginx's $msec. Valid until the next Update.
func (c *Clock) MsecText() []byte {
	ms := (c.unixNs - c.secStartNs) / nsPerMs
	digits := c.msec[len(c.msec)-3:]
	digits[0] = byte('0' + ms/100)
	digits[1] = byte('0' + ms/10%10)
	digits[2] = byte('0' + ms%10)
	return c.msec
}
