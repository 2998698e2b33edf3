// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package main

import (
	"fmt"
	"math"
	"slices"
)

// sample is one run of one workload against one proxy, or the median of several. Costs are per request; NaN is not counted.
type sample struct {
	perSecond              float64
	p50Ms, p99Ms           float64
	errors                 float64 // of all runs together in a median
	resident               float64 // bytes of the worker after the run
	cpuUserUs, cpuSysUs    float64
	busyShare              float64 // of the proxy's processor
	userInstr, kernInstr   float64
	userCycles, kernCycles float64
}

// cost is the figure to compare: instructions where they are counted, else processor time.
func (s sample) cost() string {
	if !math.IsNaN(s.userInstr) {
		return fmt.Sprintf("%s user + %s kernel instructions", thousands(s.userInstr), thousands(s.kernInstr))
	}
	return fmt.Sprintf("%s + %s us processor time, user + system", micros(s.cpuUserUs), micros(s.cpuSysUs))
}

// total is the same as one number.
func (s sample) total() float64 {
	if !math.IsNaN(s.userInstr) {
		return s.userInstr + s.kernInstr
	}
	return s.cpuUserUs + s.cpuSysUs
}

// counter is what counted user instructions.
type counter string

const (
	byPerf      counter = "perf"
	byCallgrind counter = "callgrind"
	bySteps     counter = "single-stepped"
)

// countedBy is what counts a proxy's user instructions.
func (r *results) countedBy(proxy string) counter {
	if by, ok := r.counter[proxy]; ok {
		return by
	}
	return byPerf
}

// results holds every sample of a run.
type results struct {
	samples map[string]map[string][]sample  // workload, proxy
	idle    map[string][]float64            // proxy: bytes of an idle connection
	counts  map[string]map[string][]float64 // workload, proxy: user instructions where perf does not count them
	counter map[string]counter              // proxy: what counted them
}

func newResults() *results {
	return &results{samples: make(map[string]map[string][]sample), idle: make(map[string][]float64),
		counts: make(map[string]map[string][]float64), counter: make(map[string]counter)}
}

func (r *results) add(proxy, workload string, s sample) {
	if r.samples[workload] == nil {
		r.samples[workload] = make(map[string][]sample)
	}
	r.samples[workload][proxy] = append(r.samples[workload][proxy], s)
}

func (r *results) addIdle(proxy string, bytes float64) { r.idle[proxy] = append(r.idle[proxy], bytes) }

func (r *results) addCount(proxy, workload string, by counter, instructions float64) {
	if r.counts[workload] == nil {
		r.counts[workload] = make(map[string][]float64)
	}
	r.counts[workload][proxy] = append(r.counts[workload][proxy], instructions)
	r.counter[proxy] = by
}

// userInstructions is what was counted of one request, by whatever counts here, or NaN.
func (r *results) userInstructions(proxy, workload string) float64 {
	if s, ok := r.median(proxy, workload); ok && !math.IsNaN(s.userInstr) {
		return s.userInstr
	}
	return median(r.counts[workload][proxy])
}

// limitAdds is how many user instructions limit_conn adds to a request, or NaN.
func (r *results) limitAdds(proxy string) float64 {
	return r.userInstructions(proxy, limitWorkload) - r.userInstructions(proxy, mainWorkload)
}

// idleBytes is the median memory of an idle connection, or NaN.
func (r *results) idleBytes(proxy string) float64 { return median(r.idle[proxy]) }

// median of the samples field by field; false when there is none. Errors are added up.
func (r *results) median(proxy, workload string) (sample, bool) {
	samples := r.samples[workload][proxy]
	if len(samples) == 0 {
		return sample{}, false
	}
	field := func(get func(sample) float64) float64 {
		values := make([]float64, len(samples))
		for i, s := range samples {
			values[i] = get(s)
		}
		return median(values)
	}
	var m sample
	for _, s := range samples {
		m.errors += s.errors
	}
	m.perSecond = field(func(s sample) float64 { return s.perSecond })
	m.p50Ms = field(func(s sample) float64 { return s.p50Ms })
	m.p99Ms = field(func(s sample) float64 { return s.p99Ms })
	m.resident = field(func(s sample) float64 { return s.resident })
	m.cpuUserUs = field(func(s sample) float64 { return s.cpuUserUs })
	m.cpuSysUs = field(func(s sample) float64 { return s.cpuSysUs })
	m.busyShare = field(func(s sample) float64 { return s.busyShare })
	m.userInstr = field(func(s sample) float64 { return s.userInstr })
	m.kernInstr = field(func(s sample) float64 { return s.kernInstr })
	m.userCycles = field(func(s sample) float64 { return s.userCycles })
	m.kernCycles = field(func(s sample) float64 { return s.kernCycles })
	return m, true
}

// median is NaN for no values.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// budget is what one request may cost weir, in instructions.
type budget struct {
	workload     string
	user, kernel float64
}

// budgets are what weir may cost. Read-only.
var budgets = [...]budget{
	{mainWorkload, 9e3, 26e3},
	{mixWorkload, 9e3, 26e3},
	{"28 bytes, a new connection per request", 12e3, 54e3},
	{"100 KiB", 20e3, 90e3},
	{"10 MiB", 0.4e6, 4.1e6},
}

// limitBudget is how many user instructions limit_conn may add to a request, and limitAim how many it should.
const (
	limitBudget = 1200
	limitAim    = 800
)

// idleBudgetBytes is what an idle keep-alive connection may take.
const idleBudgetBytes = 512

// verdict is one line of the comparison with the budgets.
type verdict struct {
	what             string
	measured, budget float64 // measured NaN: not counted on this machine
}

func (v verdict) String() string {
	switch {
	case math.IsNaN(v.measured):
		return "not counted"
	case v.measured <= v.budget:
		return "pass"
	}
	return "over"
}

// verdicts compares weir with its budgets, as far as it was run.
func (r *results) verdicts() []verdict {
	var all []verdict
	for _, b := range budgets {
		s, ok := r.median("weir", b.workload)
		if !ok {
			continue
		}
		all = append(all,
			verdict{b.workload + ": user instructions", r.userInstructions("weir", b.workload), b.user},
			verdict{b.workload + ": kernel instructions", s.kernInstr, b.kernel})
	}
	if _, ok := r.median("weir", limitWorkload); ok {
		what := fmt.Sprintf("limit_conn: user instructions more than without (aim %d; nginx: %s)", limitAim, thousands(r.limitAdds("nginx")))
		all = append(all, verdict{what, r.limitAdds("weir"), limitBudget})
	}
	if len(r.idle["weir"]) > 0 {
		all = append(all, verdict{"an idle keep-alive connection: bytes", r.idleBytes("weir"), idleBudgetBytes})
	}
	return all
}
