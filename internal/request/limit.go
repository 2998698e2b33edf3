// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"net/netip"
	"strconv"
	"strings"

	"go.uber.org/zap"

	"weir/internal/conn"
	"weir/internal/limitconn"
	"weir/internal/logfile"
	"weir/internal/vars"
)

// Limits are the limit_conn directives of a location, or of a listening address.
type Limits struct {
	List     []Limit
	Bypass   []netip.Prefix // clients that are not counted
	Status   int            // limit_conn_status
	LogLevel logfile.Level  // limit_conn_log_level
	DryRun   bool           // limit_conn_dry_run
	Queued   bool           // some of List has a queue: places are taken one after the other, in an order that is the same in all lists
}

// Limit is one limit_conn.
type Limit struct {
	Zone      *Zone
	Key       *vars.Template
	Max       uint32
	AllowFull bool  // on_full = "allow"
	QueueSize int   // how many requests of a key may wait for a place; 0: none may
	QueueMs   int64 // and how long
	// ByAddress says that Key is $binary_remote_addr and nothing else, the usual key.
	ByAddress bool
}

// Zone is a limit zone as requests use it.
type Zone struct {
	*limitconn.Zone
	// Older are the zones of the same name, and another size, in which the workers of older generations still count. A place has to be
	// taken in each of them too: they hold the connections of all generations, so that a limit holds for all together.
	Older []*limitconn.Zone
}

// limiter is the memory for asking under limits: one for the whole engine, since asking does not wait.
type limiter struct {
	ask  []limitconn.Limit
	of   []*Limit // whose ask is: an older zone's answer is that of its limit
	ends []int    // of the keys
	keys []byte
}

// acquire takes a place under each of the limits, or under none. failed is the limit that refused.
func (l *limiter) acquire(holds []limitconn.Hold, limits *Limits, addr netip.Addr, src vars.Source) (taken []limitconn.Hold, v limitconn.Verdict, failed *Limit) {
	if len(limits.List) == 1 && len(limits.List[0].Zone.Older) == 0 {
		return l.acquireOne(holds, limits, addr, src)
	}
	l.prepare(limits, src)
	taken, v, at := limitconn.Acquire(holds, l.ask)
	if at >= 0 {
		failed = l.of[at]
	}
	return taken, v, failed
}

// prepare makes what is asked under the limits.
func (l *limiter) prepare(limits *Limits, src vars.Source) {
	l.ask, l.of, l.ends, l.keys = l.ask[:0], l.of[:0], l.ends[:0], l.keys[:0]
	for i := range limits.List { // all keys first: their memory may move while it grows
		l.keys = limits.List[i].Key.Append(l.keys, src)
		l.ends = append(l.ends, len(l.keys))
	}
	from := 0
	for i := range limits.List {
		lim := &limits.List[i]
		ask := limitconn.Limit{Key: l.keys[from:l.ends[i]], Max: lim.Max, DryRun: limits.DryRun, AllowFull: lim.AllowFull}
		from = l.ends[i]
		for _, older := range lim.Zone.Older {
			ask.Zone = older
			l.ask, l.of = append(l.ask, ask), append(l.of, lim)
		}
		ask.Zone = lim.Zone.Zone
		l.ask, l.of = append(l.ask, ask), append(l.of, lim)
	}
}

// acquireOne is acquire for a single limit, the usual case.
func (l *limiter) acquireOne(holds []limitconn.Hold, limits *Limits, addr netip.Addr, src vars.Source) (taken []limitconn.Hold, v limitconn.Verdict, failed *Limit) {
	lim := &limits.List[0]
	if lim.ByAddress {
		l.keys = appendBinary(l.keys[:0], addr)
	} else {
		l.keys = lim.Key.Append(l.keys[:0], src)
	}
	taken = append(holds, limitconn.Hold{})
	v = lim.Zone.Acquire(&taken[len(holds)], l.keys, lim.Max, limits.DryRun)
	switch {
	case v == limitconn.Passed:
		return taken, v, nil
	case lim.AllowFull && v.NoRoom():
		return holds, limitconn.Passed, lim
	}
	return holds, v, lim
}

// bypassed says whether the client is on the list of those that are not counted.
func (limits *Limits) bypassed(addr netip.Addr) bool {
	for _, p := range limits.Bypass {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// Values of $limit_conn_status besides limitconn's own.
const statusBypassed = "BYPASSED"

// limit takes the places that the location asks for. False: the request has been refused, and verdict is the step's. As with nginx, a
// request is counted once: an internal redirect does not count it again.
func (r *Request) limit() (verdict, bool) {
	limits := r.loc.Limits
	if limits == nil || r.limitStatus != "" {
		return again, true
	}
	if limits.bypassed(r.client.Peer.Addr()) {
		r.limitStatus = statusBypassed
		for i := range limits.List {
			limits.List[i].Zone.CountBypassed()
		}
		return again, true
	}
	if limits.Queued && !limits.DryRun {
		return r.limitInOrder()
	}
	var v limitconn.Verdict
	var failed *Limit
	r.holds, v, failed = r.engine.limiter.acquire(r.holds, limits, r.client.Peer.Addr(), r)
	if len(r.engine.limiter.keys) == 0 {
		return again, true // no limit has a key to count by: none was asked, and those of another location may be
	}
	r.limitStatus = v.String()
	if failed != nil {
		r.logLimit(limits, failed, v)
	}
	switch v {
	case limitconn.Passed, limitconn.RejectedDryRun, limitconn.FullDryRun:
		return again, true
	}
	return r.refuseLimit(), false
}

// refuseLimit answers a request over a limit.
func (r *Request) refuseLimit() verdict {
	r.retryAfterSec = 1
	return r.answer(r.loc.Limits.Status)
}

// logLimit says which limit refused, and whom.
func (r *Request) logLimit(limits *Limits, failed *Limit, v limitconn.Verdict) {
	log := r.errorLog()
	if v == limitconn.Passed || v.NoRoom() {
		r.engine.logFull(failed, v)
		return
	}
	if !log.Enabled(limits.LogLevel) {
		return
	}
	message := "limiting connections by zone"
	if v == limitconn.RejectedDryRun {
		message = "limiting connections, dry run, by zone"
	}
	fields := append(r.logFields(), zap.String("zone", failed.Zone.Name()), zap.String("key", r.keyText(failed.Key)))
	log.Log(limits.LogLevel, message, fields...)
}

// keyText is the request's key for people: an address where it is one in binary, otherwise quoted text.
func (r *Request) keyText(template *vars.Template) string {
	key := template.Append(nil, r)
	if strings.HasPrefix(template.String(), "$binary_remote_addr") {
		if addr, ok := netip.AddrFromSlice(key); ok {
			return addr.String()
		}
	}
	return strconv.Quote(string(key))
}

// logFull says that a zone has no room, or is damaged, once a second for each zone.
func (e *Engine) logFull(failed *Limit, v limitconn.Verdict) {
	message := "limit zone is full: give it a larger size (weir -t says how many keys a size holds)"
	if v == limitconn.Damaged {
		e.OnDamaged(failed.Zone.Name())
		message = "limit zone is damaged and is being rebuilt"
	}
	e.Log.Limited("zone "+failed.Zone.Name(), logfile.LevelCrit, message, zap.String("zone", failed.Zone.Name()), zap.Int64("size", failed.Zone.SizeBytes()))
}

// unlimit gives the request's places back.
func (r *Request) unlimit() {
	limitconn.Release(r.holds)
	r.holds = r.holds[:0]
}

// connHolds are the places of a client's connection under the limits of its listening address.
type connHolds struct {
	holds []limitconn.Hold
}

// admit takes the places that a listening address asks of a new connection. False: it is refused.
func (e *Engine) admit(l *conn.Listener, fd int, peer netip.AddrPort) (*connHolds, bool) {
	limits := e.Binds[l.ID].Limits
	if limits == nil {
		return nil, true
	}
	if limits.bypassed(peer.Addr()) {
		for i := range limits.List {
			limits.List[i].Zone.CountBypassed()
		}
		return nil, true
	}
	h := &connHolds{}
	if n := len(e.holds); n > 0 {
		h = e.holds[n-1]
		e.holds = e.holds[:n-1]
	}
	var v limitconn.Verdict
	var failed *Limit
	e.source = acceptSource{peer: peer, fd: fd, bind: e.Binds[l.ID]}
	h.holds, v, failed = e.limiter.acquire(h.holds[:0], limits, peer.Addr(), &e.source)
	switch {
	case failed == nil:
		return h, true
	case v == limitconn.Passed:
		e.logFull(failed, v)
		return h, true
	}
	e.holds = append(e.holds, h)
	switch {
	case v.NoRoom():
		e.logFull(failed, v)
	case e.Log.Enabled(limits.LogLevel):
		e.Log.Limited("accept "+failed.Zone.Name(), limits.LogLevel, "limiting connections at accept by zone",
			zap.String("zone", failed.Zone.Name()), zap.Stringer("client", peer.Addr()))
	}
	return nil, v == limitconn.RejectedDryRun || v == limitconn.FullDryRun
}

// dismiss gives the places of a connection that ends back.
func (e *Engine) dismiss(h *connHolds) {
	limitconn.Release(h.holds)
	e.holds = append(e.holds, h)
}
