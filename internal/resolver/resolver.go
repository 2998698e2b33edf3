// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package resolver

import (
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/dns/dnsmessage"

	"weir/internal/clock"
	"weir/internal/event"
	"weir/internal/sys"
)

// Options are a resolver's settings.
type Options struct {
	Loop      *event.Loop
	Timers    *event.Timers
	Clock     *clock.Clock
	Servers   []netip.AddrPort // name servers
	ValidMs   int64            // how long an answer is used; 0: as long as it says
	TimeoutMs int64            // how long a name may take (resolver_timeout)
	IPv4      bool             // A is asked for
	IPv6      bool             // AAAA is
}

// Slots is the number of descriptors that a resolver may register with the loop.
const Slots = queriesMax

// entriesMax bounds the names that are remembered.
const entriesMax = 1024

// Resolver knows names for a while, and asks for those that it does not know.
type Resolver struct {
	loop      *event.Loop
	timers    *event.Timers
	clock     *clock.Clock
	servers   []sys.Sockaddr
	validMs   int64
	timeoutMs int64
	kinds     []dnsmessage.Type

	entries            map[string]*Entry
	asking             int
	queued, lastQueued *query
	buf                [messageMax]byte // of what has come
}

// New makes a resolver.
func New(o Options) *Resolver {
	r := &Resolver{loop: o.Loop, timers: o.Timers, clock: o.Clock, validMs: o.ValidMs, timeoutMs: o.TimeoutMs, entries: map[string]*Entry{}}
	r.AddServers(o.Servers...)
	if o.IPv4 {
		r.kinds = append(r.kinds, dnsmessage.TypeA)
	}
	if o.IPv6 {
		r.kinds = append(r.kinds, dnsmessage.TypeAAAA)
	}
	return r
}

// AddServers adds name servers.
func (r *Resolver) AddServers(list ...netip.AddrPort) {
	for _, at := range list {
		r.servers = append(r.servers, sys.SockaddrTCP(at))
	}
}

// TimeoutMs is how long a name may take (resolver_timeout).
func (r *Resolver) TimeoutMs() int64 { return r.timeoutMs }

// Address is one of a name's.
type Address struct {
	IP       netip.Addr
	Port     uint16 // of a service; 0: the name says none
	Weight   uint16 // of a service; at least 1
	Priority uint16 // of a service: the least is to be used first
}

// Entry is what is known of a name, or of a service of it.
type Entry struct {
	resolver *Resolver
	pending  int      // queries and names that it waits for; 0: it is known
	queries  []*query // for its addresses
	again    []*Entry // services that wait for it, the name of a target
	waiters  event.Waiters
	addrs    []Address
	err      error
	expires  int64
	deadline int64 // when it will have failed

	aliasTTL uint32 // the least TTL of all answers so far
	services []service
}

// Pending says whether the answer has not come yet.
func (e *Entry) Pending() bool { return e.pending > 0 }

// Await has task posted when it has.
func (e *Entry) Await(x *event.Waiter, task *event.Task) { e.waiters.Add(x, task) }

// Addresses are what the name has, or why it has none. They are never changed.
func (e *Entry) Addresses() ([]Address, error) { return e.addrs, e.err }

// ExpiresMs is until when that holds, by the loop's clock.
func (e *Entry) ExpiresMs() int64 { return e.expires }

// Lookup gives what is known of a name, or has it asked for. With a service, it is about the SRV records of that, as nginx names them: "http" is
// "_http._tcp"; one with a dot is taken as it is.
func (r *Resolver) Lookup(name, service string) *Entry {
	if service != "" {
		if !strings.Contains(service, ".") {
			service = "_" + service + "._tcp"
		}
		service += "."
	}
	return r.lookup(service+strings.TrimSuffix(strings.ToLower(name), ".")+".", service != "", r.clock.Ms()+r.timeoutMs)
}

func (r *Resolver) lookup(name string, isService bool, deadline int64) *Entry {
	key := name
	if isService {
		key = "SRV " + name
	}
	if e := r.entries[key]; e != nil && (e.Pending() || e.err == nil && r.clock.Ms() < e.expires) {
		return e
	}
	if !r.makeRoom() {
		return &Entry{resolver: r, err: ErrCrowded}
	}
	e := &Entry{resolver: r, deadline: deadline, aliasTTL: 1<<31 - 1}
	r.entries[key] = e
	if isService {
		e.pending = 1
		r.ask(name, dnsmessage.TypeSRV, 0, deadline, e.onServices)
		return e
	}
	e.pending = len(r.kinds)
	for _, kind := range r.kinds {
		e.queries = append(e.queries, r.ask(name, kind, 0, deadline, e.onAddresses))
	}
	return e
}

// makeRoom forgets names that are known, those that have expired first. False: all that there is room for are being looked up.
func (r *Resolver) makeRoom() bool {
	if len(r.entries) < entriesMax {
		return true
	}
	now := r.clock.Ms()
	for key, e := range r.entries {
		if !e.Pending() && (e.err != nil || e.expires <= now) {
			delete(r.entries, key)
		}
	}
	for key, e := range r.entries {
		if len(r.entries) < entriesMax {
			return true
		}
		if !e.Pending() {
			delete(r.entries, key)
		}
	}
	return len(r.entries) < entriesMax
}

// onAddresses takes the answer to one of the questions about a name.
func (e *Entry) onAddresses(a answer, err error) {
	if err == nil {
		e.aliasTTL = min(e.aliasTTL, a.ttl)
		for _, addr := range a.addrs {
			e.addrs = append(e.addrs, Address{IP: addr, Weight: 1})
		}
		for _, q := range e.queries {
			q.hurry()
		}
	} else if e.err == nil || err != ErrNotFound {
		e.err = err // the one that says more, if nothing comes of both
	}
	e.done()
}

// onServices takes the answer to the question about a service: its targets are names again.
func (e *Entry) onServices(a answer, err error) {
	if err != nil {
		e.err = err
		e.done()
		return
	}
	e.aliasTTL, e.services = a.ttl, a.srv
	for i := range a.srv {
		if a.srv[i].target == "." { // "decidedly not available", RFC 2782
			continue
		}
		if target := e.resolver.lookup(a.srv[i].target, false, e.deadline); target.Pending() {
			e.pending++
			target.again = append(target.again, e)
		}
	}
	e.done()
}

// done ends one of the things that the entry waits for.
func (e *Entry) done() {
	e.pending--
	if e.pending > 0 {
		return
	}
	e.queries = nil
	now := e.resolver.clock.Ms()
	if e.services != nil {
		e.fromServices(now)
	}
	if len(e.addrs) > 0 {
		slices.SortStableFunc(e.addrs, func(a, b Address) int { return a.IP.BitLen() - b.IP.BitLen() }) // whichever has been answered first
		e.err = nil
	} else if e.err == nil {
		e.err = ErrNotFound
	}
	validMs := e.resolver.validMs
	if validMs == 0 {
		validMs = int64(e.aliasTTL) * 1000
	}
	if e.expires == 0 || e.expires > now+validMs {
		e.expires = now + validMs
	}
	e.waiters.Wake(e.resolver.loop)
	again := e.again
	e.again = nil
	for _, service := range again {
		service.done()
	}
}

// fromServices puts the addresses of the targets together. One that cannot be resolved is left out.
func (e *Entry) fromServices(now int64) {
	for _, s := range e.services {
		target := e.resolver.entries[s.target]
		if target == nil || target.Pending() {
			continue
		}
		if target.err != nil {
			e.err = target.err
			continue
		}
		if target.expires > now && (e.expires == 0 || target.expires < e.expires) {
			e.expires = target.expires
		}
		for _, a := range target.addrs {
			e.addrs = append(e.addrs, Address{IP: a.IP, Port: s.port, Weight: max(s.weight, 1), Priority: s.priority})
		}
	}
}
