// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package event

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// checkTimers walks the wheel and returns every fault that it finds.
func checkTimers(w *Timers) (faults []error) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	linked := 0
	for i := range w.lists {
		head := &w.lists[i]
		level, bucket := i>>levelShift, i&bucketMask
		if head.deadline != int64(i) {
			fault("list %d says it is %d", i, head.deadline)
		}
		if i != pendingList {
			if occupied := w.occupied[level]>>bucket&1 == 1; occupied != (head.next != head) {
				fault("level %d, bucket %d: occupied is %v", level, bucket, occupied)
			}
			if head.next != head && bucket <= int(w.tick>>(level*levelShift))&bucketMask {
				fault("level %d, bucket %d is behind tick %d and not empty", level, bucket, w.tick)
			}
		}
		for t := head.next; t != head; t = t.next {
			linked++
			if t.next.prev != t || t.prev.next != t {
				fault("list %d: broken links", i)
				return faults
			}
			if t.deadline < t.early && t.deadline > w.tick<<tickShift {
				fault("list %d: a timer due at %d hangs where it is looked at after %d", i, t.deadline, t.early)
			}
		}
	}
	if linked != w.linked {
		fault("%d timers linked, %d on record", linked, w.linked)
	}
	return faults
}

// recorder is an owner that notes what fires.
type recorder struct {
	timers []Timer
	index  map[*Timer]int
	fired  []int
	then   func(i int)
}

func newRecorder(n int) *recorder {
	r := &recorder{timers: make([]Timer, n), index: map[*Timer]int{}}
	for i := range r.timers {
		r.timers[i].Init(r)
		r.index[&r.timers[i]] = i
	}
	return r
}

func (r *recorder) OnTimer(t *Timer) {
	r.fired = append(r.fired, r.index[t])
	if r.then != nil {
		r.then(r.index[t])
	}
}

func TestTimerSize(t *testing.T) {
	require.LessOrEqual(t, reflect.TypeFor[Timer]().Size(), uintptr(48))
}

func TestTimerZeroAndNever(t *testing.T) {
	var w Timers
	w.Init(1000)
	r := newRecorder(1)
	tm := &r.timers[0]
	require.False(t, tm.Armed())
	require.Equal(t, Never, w.NextMs())
	require.Equal(t, -1, w.WaitMs(1000))

	tm.Disarm()
	w.Unlink(tm)
	w.Arm(tm, Never)
	require.False(t, tm.Armed())
	require.Zero(t, w.Linked())

	w.Arm(tm, -5)
	require.True(t, tm.Armed())
	require.Equal(t, int64(-5), tm.DeadlineMs())
	require.Equal(t, 1, w.Expire(1008))
	require.Equal(t, []int{0}, r.fired)
	require.Empty(t, checkTimers(&w))
}

// A timer armed for any distance, near or far, fires at the first tick at or after its deadline, and the wheel asks
// to be woken no later.
func TestTimerDistances(t *testing.T) {
	for _, startMs := range []int64{0, 1, 8, 1000, 1 << 20, 40 * 86400_000, 1<<40 + 12345} {
		for _, distanceMs := range []int64{0, 1, 7, 8, 9, 500, 511, 512, 513, 32_000, 60_000, 75_000, 3600_000,
			86400_000, 30 * 86400_000, 365 * 86400_000, 20 * 365 * 86400_000} {
			var w Timers
			w.Init(startMs)
			r := newRecorder(1)
			deadline := startMs + distanceMs
			w.Arm(&r.timers[0], deadline)
			wakeUps := 0
			now := startMs
			for len(r.fired) == 0 {
				next := w.NextMs()
				require.Greater(t, next, now)
				require.LessOrEqual(t, next, max(deadline, now)+tickMs)
				now = next
				w.Expire(now)
				require.Empty(t, checkTimers(&w))
				wakeUps++
			}
			require.GreaterOrEqual(t, now, deadline)
			require.Less(t, now, max(deadline, startMs+1)+tickMs, "from %d by %d", startMs, distanceMs)
			require.LessOrEqual(t, wakeUps, wheelLevels)
			require.Equal(t, Never, w.NextMs())
		}
	}
}

// A deadline beyond what the wheel spans does no harm.
func TestTimerBeyondAll(t *testing.T) {
	var w Timers
	w.Init(0)
	r := newRecorder(2)
	w.Arm(&r.timers[0], Never-1)
	w.Arm(&r.timers[1], 100)
	require.Equal(t, int64(104), w.NextMs())
	require.Equal(t, 1, w.Expire(lastTick<<tickShift-1))
	require.Equal(t, []int{1}, r.fired)
	require.Empty(t, checkTimers(&w))
	require.Equal(t, 1<<31-1, w.WaitMs(0), "what epoll_wait can take")
}

// Lazy: a deadline that moves forward, or is called off, leaves the timer where it hangs.
func TestTimerLazy(t *testing.T) {
	var w Timers
	w.Init(0)
	r := newRecorder(1)
	tm := &r.timers[0]
	w.Arm(tm, 60_000)
	next, prev := tm.next, tm.prev
	for deadline := int64(60_001); deadline < 120_000; deadline += 100 {
		w.Arm(tm, deadline)
		require.True(t, next == tm.next && prev == tm.prev)
	}
	tm.Disarm()
	require.Equal(t, 1, w.Linked())
	require.Zero(t, w.Expire(200_000))
	require.Zero(t, w.Linked(), "dropped when its bucket came")

	// Earlier: at once in its new place.
	w.Arm(tm, 300_000)
	w.Arm(tm, 200_100)
	require.Equal(t, int64(200_104), w.NextMs())
	require.Equal(t, 1, w.Expire(200_104))
}

// What is armed in the past while timers fire waits for the next tick, or Expire would never end.
func TestTimerRearmsItself(t *testing.T) {
	var w Timers
	w.Init(0)
	r := newRecorder(1)
	r.then = func(i int) { w.Arm(&r.timers[i], 0) }
	w.Arm(&r.timers[0], 10)
	for now := int64(16); now < 160; now += 8 {
		require.Equal(t, 1, w.Expire(now))
	}
}

// An owner may unlink what is about to fire in the same call.
func TestTimerUnlinksOthers(t *testing.T) {
	var w Timers
	w.Init(0)
	r := newRecorder(100)
	r.then = func(int) {
		for i := range r.timers {
			w.Unlink(&r.timers[i])
		}
	}
	for i := range r.timers {
		w.Arm(&r.timers[i], int64(10+i%3))
	}
	require.Equal(t, 1, w.Expire(1000))
	require.Zero(t, w.Linked())
	require.Empty(t, checkTimers(&w))
}

func TestTimerExpireInside(t *testing.T) {
	var w Timers
	w.Init(0)
	r := newRecorder(1)
	r.then = func(int) { w.Expire(10) }
	w.Arm(&r.timers[0], 1)
	require.PanicsWithValue(t, "event: Timers.Expire called by a timer's owner", func() { w.Expire(8) })
}

// A turn stays short however much is due: the rest comes with the next ones, and the loop does not sleep before.
func TestTimerBudget(t *testing.T) {
	var w Timers
	w.Init(0)
	r := newRecorder(10_000)
	for i := range r.timers {
		w.Arm(&r.timers[i], int64(1+i%1000))
	}
	total, calls := 0, 0
	for total < len(r.timers) {
		require.Zero(t, w.WaitMs(1000))
		fired := w.Expire(1000)
		require.LessOrEqual(t, fired, expireBudget/fireCost+1)
		require.Positive(t, fired)
		total += fired
		calls++
		require.Empty(t, checkTimers(&w))
	}
	require.Greater(t, calls, 10)
	require.Equal(t, -1, w.WaitMs(1000))
	slices.Sort(r.fired)
	require.Len(t, slices.Compact(r.fired), len(r.timers), "each once")
}

// The wheel against a plain list of deadlines: never early, never later than the next look after the rounded-up deadline,
// each once, whatever owners do meanwhile.
func TestTimersModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		const n = 24
		now := rapid.Int64Range(0, 1<<41).Draw(rt, "start")
		var w Timers
		w.Init(now)
		r := newRecorder(n)
		model := make([]int64, n)   // deadlines
		armedAt := make([]int64, n) // the time at which they were set
		for i := range model {
			model[i] = Never
		}
		pick := rapid.IntRange(0, n-1)
		distance := rapid.OneOf(
			rapid.Int64Range(-20, 40),
			rapid.Int64Range(0, 2000),
			rapid.Int64Range(0, 100_000),
			rapid.Int64Range(0, 100*86400_000),
		)
		arm := func(i int, d int64) {
			w.Arm(&r.timers[i], now+d)
			model[i], armedAt[i] = now+d, now
		}
		disarm := func(i int) {
			r.timers[i].Disarm()
			model[i] = Never
		}
		unlink := func(i int) {
			w.Unlink(&r.timers[i])
			model[i] = Never
		}
		act := func(i int) {
			switch rapid.IntRange(0, 3).Draw(rt, "act") {
			case 0, 1:
				arm(i, distance.Draw(rt, "distance"))
			case 2:
				disarm(i)
			case 3:
				unlink(i)
			}
		}
		firedNow := map[int]bool{}
		r.then = func(i int) {
			if model[i] > now {
				rt.Fatalf("timer %d fired at %d, due at %d", i, now, model[i])
			}
			if firedNow[i] {
				rt.Fatalf("timer %d fired twice in one call", i)
			}
			firedNow[i] = true
			model[i] = Never
			if rapid.Bool().Draw(rt, "acts") {
				act(pick.Draw(rt, "on"))
			}
		}
		expire := func(to int64) {
			now = max(now, to)
			clear(firedNow)
			w.Expire(to)
			for i, deadline := range model {
				// Due by now, unless it was set during this very tick.
				if deadline <= now&^(tickMs-1) && armedAt[i] < now&^(tickMs-1) {
					rt.Fatalf("timer %d, set at %d, due at %d, has not fired at %d", i, armedAt[i], deadline, now)
				}
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"arm":    func(rt *rapid.T) { arm(pick.Draw(rt, "timer"), distance.Draw(rt, "distance")) },
			"disarm": func(rt *rapid.T) { disarm(pick.Draw(rt, "timer")) },
			"unlink": func(rt *rapid.T) { unlink(pick.Draw(rt, "timer")) },
			"step":   func(rt *rapid.T) { expire(now + rapid.Int64Range(0, 600).Draw(rt, "ms")) },
			"leap":   func(rt *rapid.T) { expire(now + rapid.Int64Range(0, 40*86400_000).Draw(rt, "ms")) },
			"back":   func(rt *rapid.T) { expire(now - rapid.Int64Range(1, 5000).Draw(rt, "ms")) },
			"sleep": func(rt *rapid.T) {
				if next := w.NextMs(); next != Never {
					expire(next)
				}
			},
			"": func(rt *rapid.T) {
				next := w.NextMs()
				earliest := Never
				for i, deadline := range model {
					if deadline != r.timers[i].DeadlineMs() || r.timers[i].Armed() != (deadline != Never) {
						rt.Fatalf("timer %d has deadline %d, want %d", i, r.timers[i].DeadlineMs(), deadline)
					}
					earliest = min(earliest, deadline)
				}
				if earliest != Never && next > max(earliest, now)+tickMs {
					rt.Fatalf("at %d the next look is at %d, a timer is due at %d", now, next, earliest)
				}
				for _, fault := range checkTimers(&w) {
					rt.Error(fault)
				}
			},
		})
	})
}

func TestTimersNoAllocations(t *testing.T) {
	var w Timers
	w.Init(0)
	r := newRecorder(1000)
	r.fired = make([]int, 0, 1<<20)
	now := int64(0)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		now += 50
		for i := range r.timers {
			w.Arm(&r.timers[i], now+int64(i))
		}
		w.Unlink(&r.timers[7])
		w.Expire(now)
	}))
}

type nobody struct{}

func (nobody) OnTimer(*Timer) {}

// manyTimers is a wheel of n timers, all due within a minute of 60 s.
func manyTimers(n int) (*Timers, []Timer) {
	w := &Timers{}
	w.Init(0)
	timers := make([]Timer, n)
	for i := range timers {
		timers[i].Init(nobody{})
		w.Arm(&timers[i], 60_000+rand.Int64N(60_000))
	}
	return w, timers
}

// BenchmarkArmForward is what each request costs: its connection's time-out moves on.
func BenchmarkArmForward(b *testing.B) {
	w, timers := manyTimers(100_000)
	deadline := int64(120_000)
	t := &timers[50_000]
	b.ReportAllocs()
	for b.Loop() {
		deadline++
		w.Arm(t, deadline)
	}
}

func BenchmarkArmEarlierAndUnlink(b *testing.B) {
	w, timers := manyTimers(100_000)
	t := &timers[50_000]
	b.ReportAllocs()
	for b.Loop() {
		w.Arm(t, 30_000)
		w.Unlink(t)
	}
}

func BenchmarkNextMs(b *testing.B) {
	w, _ := manyTimers(100_000)
	b.ReportAllocs()
	for b.Loop() {
		w.NextMs()
	}
}

// BenchmarkTurn100000 is one turn of a loop with 100,000 timers, one of which is pushed forward in each turn of 1 ms.
// That includes the share of what spreading and re-linking the others costs.
func BenchmarkTurn100000(b *testing.B) {
	w, timers := manyTimers(100_000)
	now, i := int64(0), 0
	b.ReportAllocs()
	for b.Loop() {
		now++
		w.Arm(&timers[i], now+60_000)
		if i++; i == len(timers) {
			i = 0
		}
		w.Expire(now)
	}
}
