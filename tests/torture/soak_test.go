// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package torture

import (
	"os"
	"strconv"
	"strings"
	"time"
)

// A run of a minute and more is looked at all the while: what it takes at its end must be what it took after its first third.

const (
	soakFrom  = time.Minute
	soakEvery = 5 * time.Second
)

// sample is what the workers of a moment have, added up.
type sample struct{ kib, descriptors, threads, pages int }

// soak samples until the run is over, and compares.
func (w *world) soak(lasts time.Duration) {
	var all []sample
	for !w.ended() {
		select {
		case <-time.After(soakEvery):
			all = append(all, w.sample())
		case <-w.over:
		}
	}
	third := len(all) / 3
	if third == 0 || w.setting.chaos { // whose workers are other ones all the time
		return
	}
	early, late := most(all[third:2*third]), most(all[len(all)-third:])
	w.t.Logf("in the first third of %v at most %+v, in the second %+v, in the last %+v", lasts, most(all[:third]), early, late)
	if late.kib > early.kib*5/4+8<<10 || late.descriptors > early.descriptors*5/4+8 || late.threads > early.threads+8 || late.pages > early.pages*5/4+2 {
		w.fault("it grows: %+v, later %+v", early, late)
	}
}

// most is the most of each number.
func most(all []sample) (m sample) {
	for _, s := range all {
		m = sample{max(m.kib, s.kib), max(m.descriptors, s.descriptors), max(m.threads, s.threads), max(m.pages, s.pages)}
	}
	return m
}

func (w *world) sample() (s sample) {
	for _, pid := range w.proxy.workers() {
		proc := "/proc/" + strconv.Itoa(pid)
		text, _ := os.ReadFile(proc + "/status")
		s.kib += numberAfter(string(text), "VmRSS:")
		s.threads += numberAfter(string(text), "Threads:")
		list, _ := os.ReadDir(proc + "/fd")
		s.descriptors += len(list)
	}
	if status := w.proxy.status(); status != nil {
		for _, z := range status.Zones {
			s.pages += z.UsedPages
		}
	}
	return s
}

// numberAfter is the number that follows a word.
func numberAfter(text, word string) int {
	_, rest, _ := strings.Cut(text, word)
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	n, _ := strconv.Atoi(fields[0])
	return n
}
