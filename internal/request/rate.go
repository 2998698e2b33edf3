// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"fmt"
	"net/netip"
	"strconv"

	"go.uber.org/zap"

	"weir/internal/limitreq"
	"weir/internal/logfile"
	"weir/internal/vars"
)

// Rates are the limit_req directives of a location.
type Rates struct {
	List     []Rate
	Status   int           // limit_req_status
	LogLevel logfile.Level // limit_req_log_level, of refusals; delays are logged one level lower
	DryRun   bool          // limit_req_dry_run
}

// Rate is one limit_req.
type Rate struct {
	Zone      *limitreq.Zone
	Key       *vars.Template
	ByAddress bool // Key is $binary_remote_addr and nothing else, the usual key
	PeriodNs  uint64
	Burst     uint32
	Delay     uint32
}

// rater is the memory for asking under rates: one for the whole engine, since asking does not wait.
type rater struct {
	ask  []limitreq.Limit
	ends []int // of the keys
	keys []byte
}

// charge asks all rates to let a request through.
func (a *rater) charge(rates *Rates, nowNs uint64, addr netip.Addr, src vars.Source) limitreq.Outcome {
	if len(rates.List) == 1 {
		r := &rates.List[0]
		if r.ByAddress {
			a.keys = appendBinary(a.keys[:0], addr)
		} else {
			a.keys = r.Key.Append(a.keys[:0], src)
		}
		return limitreq.ChargeOne(&limitreq.Limit{Zone: r.Zone, Key: a.keys, PeriodNs: r.PeriodNs, Burst: r.Burst, Delay: r.Delay}, nowNs, rates.DryRun)
	}
	a.ask, a.ends, a.keys = a.ask[:0], a.ends[:0], a.keys[:0]
	for i := range rates.List { // all keys first: their memory may move while it grows
		a.keys = rates.List[i].Key.Append(a.keys, src)
		a.ends = append(a.ends, len(a.keys))
	}
	from := 0
	for i := range rates.List {
		r := &rates.List[i]
		a.ask = append(a.ask, limitreq.Limit{
			Zone: r.Zone, Key: a.keys[from:a.ends[i]], PeriodNs: r.PeriodNs, Burst: r.Burst, Delay: r.Delay,
		})
		from = a.ends[i]
	}
	return limitreq.Charge(a.ask, nowNs, rates.DryRun)
}

// limitRequests asks the location's rates. False: the request is refused, or waits, and verdict is the step's. As with nginx, a request is
// counted once: an internal redirect does not count it again.
func (r *Request) limitRequests() (verdict, bool) {
	rates := r.loc.Rates
	if rates == nil || r.rateStatus != "" {
		return again, true
	}
	out := r.engine.rater.charge(rates, uint64(r.engine.Clock.SharedNs()), r.client.Peer.Addr(), r)
	if len(r.engine.rater.keys) == 0 {
		return again, true // no rate has a key to count by: none was asked, and those of another location may be
	}
	r.rateStatus = out.Verdict.String()
	if out.Index >= 0 {
		r.logRate(rates, &rates.List[out.Index], &out)
	}
	switch out.Verdict {
	case limitreq.Passed, limitreq.DelayedDryRun, limitreq.RejectedDryRun, limitreq.FullDryRun:
		return again, true
	case limitreq.Delayed:
		r.resumeMs = r.nowMs() + int64((out.DelayNs+999_999)/1_000_000)
		return r.become(StateDelay), false
	}
	r.retryAfterSec = max(int((out.DelayNs+999_999_999)/1_000_000_000), 1)
	return r.answer(rates.Status), false
}

// delay waits until a request above its rate may go on. It holds no block but that of the request's head.
func (r *Request) delay() verdict {
	if r.nowMs() < r.resumeMs {
		r.client.Arm(r.resumeMs)
		return wait
	}
	r.client.Disarm()
	r.phase = phaseLimits
	return r.become(StatePhases)
}

// logRate says which rate refused or delays, and whom.
func (r *Request) logRate(rates *Rates, failed *Rate, out *limitreq.Outcome) {
	e, level, message := r.engine, rates.LogLevel, ""
	switch out.Verdict {
	case limitreq.Delayed:
		level, message = max(level-1, logfile.LevelDebug), "delaying request"
	case limitreq.DelayedDryRun:
		level, message = max(level-1, logfile.LevelDebug), "delaying request, dry run"
	case limitreq.Rejected:
		message = "limiting requests"
	case limitreq.RejectedDryRun:
		message = "limiting requests, dry run"
	case limitreq.Damaged:
		e.OnDamaged(failed.Zone.Name())
		e.Log.Limited("zone "+failed.Zone.Name(), logfile.LevelCrit, "limit zone is damaged and is being emptied", zap.String("zone", failed.Zone.Name()))
		return
	default:
		e.Log.Limited("zone "+failed.Zone.Name(), logfile.LevelCrit, "limit zone is full: give it a larger size (weir -t says how many keys a size holds)",
			zap.String("zone", failed.Zone.Name()), zap.Int64("size", failed.Zone.SizeBytes()))
		return
	}
	if log := r.errorLog(); log.Enabled(level) {
		excess := fmt.Sprintf("%d.%03d", out.ExcessMilli/1000, out.ExcessMilli%1000)
		log.Log(level, message, append(r.logFields(), zap.String("excess", excess), zap.String("zone", failed.Zone.Name()),
			zap.String("key", r.keyText(failed.Key)))...)
	}
}

// appendRetryAfter says to a client over a limit when to come again.
func (r *Request) appendRetryAfter(dst []byte) []byte {
	if r.retryAfterSec == 0 || !r.loc.RetryAfter || r.status != 429 && r.status != 503 {
		return dst
	}
	dst = append(dst, "Retry-After: "...)
	return append(strconv.AppendInt(dst, int64(r.retryAfterSec), 10), '\r', '\n')
}
