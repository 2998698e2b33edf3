// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package resolver

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"

	"weir/internal/clock"
	"weir/internal/dnstest"
	"weir/internal/event"
)

// rig is a loop with a resolver, and who waits for names.
type rig struct {
	t      *testing.T
	loop   *event.Loop
	clock  *clock.Clock
	timers event.Timers
	*Resolver
}

func newRig(t *testing.T, change func(o *Options), servers ...*dnstest.Server) *rig {
	r := &rig{t: t, clock: clock.New(time.UTC)}
	r.timers.Init(r.clock.Ms())
	var err error
	r.loop, err = event.NewLoop(Slots, r.clock, &r.timers, func() {})
	require.NoError(t, err)
	o := Options{Loop: r.loop, Timers: &r.timers, Clock: r.clock, TimeoutMs: 10_000, IPv4: true, IPv6: true}
	for _, s := range servers {
		o.Servers = append(o.Servers, s.Addr)
	}
	if change != nil {
		change(&o)
	}
	r.Resolver = New(o)
	t.Cleanup(func() {
		require.Zero(t, r.asking, "questions that have not ended")
		require.Nil(t, r.queued)
	})
	return r
}

// await turns the loop until the entry is known.
func (r *rig) await(e *Entry) *Entry {
	r.t.Helper()
	woken := &wakeUp{}
	woken.task.Init(woken)
	var waiter event.Waiter
	if e.Pending() {
		e.Await(&waiter, &woken.task)
		for deadline := time.Now().Add(20 * time.Second); !woken.is; {
			r.loop.Turn()
			require.True(r.t, time.Now().Before(deadline), "no answer")
		}
	}
	require.False(r.t, e.Pending())
	return e
}

type wakeUp struct {
	task event.Task
	is   bool
}

func (w *wakeUp) RunTask() { w.is = true }

// text is an entry in one line.
func text(e *Entry) string {
	addrs, err := e.Addresses()
	if err != nil {
		return err.Error()
	}
	var out []string
	for _, a := range addrs {
		s := a.IP.String()
		if a.Port != 0 {
			s = fmt.Sprintf("%s port %d weight %d priority %d", netip.Addr.String(a.IP), a.Port, a.Weight, a.Priority)
		}
		out = append(out, s)
	}
	return strings.Join(out, ", ")
}

func addr(text string, ttl uint32) dnstest.Record {
	return dnstest.Record{Addr: netip.MustParseAddr(text), TTL: ttl}
}

func fill(s *dnstest.Server) {
	s.SetAddrs("four.example", 5, "127.0.0.1", "127.0.0.2")
	s.Set("both.example", addr("127.0.0.1", 9), addr("::1", 3))
	s.SetAddrs("six.example", 7, "::1")
	s.Set("alias.example", dnstest.Record{Alias: "more.example", TTL: 2})
	s.Set("more.example", dnstest.Record{Alias: "both.example", TTL: 100})
	s.Set("circle.example", dnstest.Record{Alias: "circle.example", TTL: 1})
	s.Set("_http._tcp.app.example",
		dnstest.Record{Target: "four.example", Port: 8080, Weight: 3, Priority: 1, TTL: 60},
		dnstest.Record{Target: "six.example", Port: 8081, Priority: 2, TTL: 60},
		dnstest.Record{Target: "gone.example", Port: 8082, Priority: 2, TTL: 60})
	s.Set("_x._udp.app.example", dnstest.Record{Target: "four.example", Port: 53, TTL: 1})
	s.Set("_none._tcp.app.example", dnstest.Record{Target: ".", TTL: 1})
}

// What comes of a name, whatever the way in which a server answers.
func TestLookup(t *testing.T) {
	for _, how := range []dnstest.Behaviour{{}, {Cut: true}, {Forged: true}, {Bare: true}} {
		t.Run(fmt.Sprintf("%+v", how), func(t *testing.T) {
			s := dnstest.New(t)
			fill(s)
			s.Behave(how)
			r := newRig(t, nil, s)
			for _, x := range []struct {
				name, service, want string
				ttl                 int64
			}{
				{"four.example", "", "127.0.0.1, 127.0.0.2", 5},
				{"FOUR.example.", "", "127.0.0.1, 127.0.0.2", 5},
				{"both.example", "", "127.0.0.1, ::1", 3},
				{"six.example", "", "::1", 7},
				{"alias.example", "", "127.0.0.1, ::1", 2},
				{"gone.example", "", "3: Host not found", 0},
				{"circle.example", "", "2: Server failure", 0},
				{"app.example", "http", "127.0.0.1 port 8080 weight 3 priority 1, 127.0.0.2 port 8080 weight 3 priority 1, ::1 port 8081 weight 1 priority 2", 5},
				{"app.example", "_x._udp", "127.0.0.1 port 53 weight 1 priority 0, 127.0.0.2 port 53 weight 1 priority 0", 1},
				{"app.example", "none", "3: Host not found", 0},
				{"app.example", "ftp", "3: Host not found", 0},
				{strings.Repeat("a", 64) + ".example", "", "1: Format error", 0},
				{"a..b", "", "1: Format error", 0},
			} {
				e := r.await(r.Lookup(x.name, x.service))
				got := strings.Split(text(e), ", ")
				require.ElementsMatch(t, strings.Split(x.want, ", "), got, "%s %s", x.name, x.service)
				if x.ttl > 0 {
					left := e.ExpiresMs() - r.clock.Ms()
					require.LessOrEqual(t, left, x.ttl*1000, x.name)
					require.Greater(t, left, int64(0), x.name)
				}
			}
		})
	}
}

// A name is asked for once while many wait, and again when its time is over; a failure is not kept.
func TestKept(t *testing.T) {
	s := dnstest.New(t)
	fill(s)
	r := newRig(t, func(o *Options) { o.IPv6 = false }, s)
	first := r.Lookup("four.example", "")
	require.Same(t, first, r.Lookup("four.example", ""))
	r.await(first)
	require.Same(t, first, r.Lookup("four.example", ""))
	n, _ := s.Asked("four.example")
	require.Equal(t, 1, n)
	first.expires = r.clock.Ms()
	s.SetAddrs("four.example", 5, "127.0.0.9")
	require.Equal(t, "127.0.0.9", text(r.await(r.Lookup("four.example", ""))))
	require.Equal(t, "127.0.0.1, 127.0.0.2", text(first), "who has the old one keeps it")

	require.Equal(t, ErrNotFound.Error(), text(r.await(r.Lookup("later.example", ""))))
	s.SetAddrs("later.example", 5, "127.0.0.9")
	require.Equal(t, "127.0.0.9", text(r.await(r.Lookup("later.example", ""))))

	valid := newRig(t, func(o *Options) { o.ValidMs = 77_000 }, s)
	e := valid.await(valid.Lookup("both.example", ""))
	require.InDelta(t, 77_000, e.ExpiresMs()-valid.clock.Ms(), 5000)
}

// A server that is silent, or cannot answer, is followed by another one; when none answers the name has failed.
func TestServers(t *testing.T) {
	good, bad := dnstest.New(t), dnstest.New(t)
	fill(good)
	for _, how := range []dnstest.Behaviour{{Silent: true}, {RCode: dnsmessage.RCodeServerFailure}, {RCode: dnsmessage.RCodeRefused}} {
		bad.Behave(how)
		r := newRig(t, nil, bad, good)
		for range 4 { // whichever is asked first
			clear(r.entries)
			require.Equal(t, "127.0.0.1, ::1", text(r.await(r.Lookup("both.example", ""))), "%+v", how)
		}
	}
	bad.Behave(dnstest.Behaviour{RCode: dnsmessage.RCodeServerFailure})
	r := newRig(t, nil, bad)
	require.Equal(t, "2: Server failure", text(r.await(r.Lookup("both.example", ""))))
	bad.Behave(dnstest.Behaviour{Silent: true})
	r = newRig(t, func(o *Options) { o.TimeoutMs = 300 }, bad)
	require.Equal(t, "110: Operation timed out", text(r.await(r.Lookup("both.example", ""))))

	none := newRig(t, func(o *Options) {
		o.TimeoutMs = 300
		o.Servers = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:1")}
	})
	require.Equal(t, "110: Operation timed out", text(none.await(none.Lookup("both.example", ""))), "nobody listens there")
}

// A server that does not answer one kind of questions holds the other up for a moment only.
func TestOneKindIsSilent(t *testing.T) {
	s := dnstest.New(t)
	fill(s)
	s.Behave(dnstest.Behaviour{SilentFor: []dnsmessage.Type{dnsmessage.TypeAAAA}})
	r := newRig(t, func(o *Options) { o.TimeoutMs = 60_000 }, s)
	require.Equal(t, "127.0.0.1", text(r.await(r.Lookup("both.example", ""))))
}

// More names than may be asked for at a time, and than are remembered.
func TestMany(t *testing.T) {
	s := dnstest.New(t)
	r := newRig(t, func(o *Options) { o.IPv6 = false; o.TimeoutMs = 60_000 }, s)
	var list []*Entry
	for i := range 3 * queriesMax {
		name := fmt.Sprintf("n%d.example", i)
		s.SetAddrs(name, 60, "127.0.0.1")
		list = append(list, r.Lookup(name, ""))
		require.LessOrEqual(t, r.asking, queriesMax)
	}
	for _, e := range list {
		require.Equal(t, "127.0.0.1", text(r.await(e)))
	}
	for i := range 2 * entriesMax {
		r.entries[fmt.Sprint("old", i)] = &Entry{expires: 1}
	}
	r.await(r.Lookup("n0.example", ""))
	r.await(r.Lookup("gone.example", ""))
	require.LessOrEqual(t, len(r.entries), entriesMax)
}

// TestTooManyNames: who asks for ever more names, that no server answers, takes no more memory than for those that there is room for, and others are found again afterwards.
func TestTooManyNames(t *testing.T) {
	s := dnstest.New(t)
	s.Behave(dnstest.Behaviour{Silent: true})
	r := newRig(t, func(o *Options) { o.TimeoutMs = 300 }, s)
	var last *Entry
	for i := range entriesMax + 10 {
		e := r.Lookup(fmt.Sprintf("n%d.example", i), "")
		require.Equal(t, i < entriesMax, e.Pending())
		if e.Pending() {
			last = e
		} else {
			require.Equal(t, ErrCrowded.Error(), text(e))
		}
	}
	require.Len(t, r.entries, entriesMax)
	r.await(last)
	s.Behave(dnstest.Behaviour{})
	s.SetAddrs("again.example", 5, "127.0.0.1")
	require.Equal(t, "127.0.0.1", text(r.await(r.Lookup("again.example", ""))))
	require.LessOrEqual(t, len(r.entries), entriesMax)
}
