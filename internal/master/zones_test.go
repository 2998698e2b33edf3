// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"weir/internal/sys"
)

// addrZone is the settings of a zone "addr".
func addrZone(key, size string) string {
	return fmt.Sprintf("[http.limit_conn_zone.addr]\nkey = '%s'\nsize = '%s'\n", key, size)
}

var usualZone = addrZone("$binary_remote_addr", "64k")

// order has a stand-in do something with its zones.
func (w *weir) order(pid int, format string, args ...any) string {
	w.t.Helper()
	conn, err := net.Dial("unix", standinSocket(w.dir, pid))
	require.NoError(w.t, err)
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(conn, format+"\n", args...)
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err.Error() // it has died
	}
	return strings.TrimSpace(answer)
}

// acquire has a stand-in take so many places of at most limit, all of which it must get.
func (w *weir) acquire(pid int, key string, limit, count int) {
	w.t.Helper()
	for range count {
		require.Equal(w.t, "PASSED", w.order(pid, "acquire addr %s %d", key, limit))
	}
}

// call asks the control socket; the answer is decoded when it is to be.
func (w *weir) call(method, path string, answer any) (code int) {
	w.t.Helper()
	request, err := http.NewRequest(method, "http://weir"+path, nil)
	require.NoError(w.t, err)
	response, err := w.client().Do(request)
	require.NoError(w.t, err)
	defer response.Body.Close()
	if answer != nil {
		require.NoError(w.t, json.NewDecoder(response.Body).Decode(answer), path)
	}
	return response.StatusCode
}

// zone is the zone "addr" as the control socket shows it.
func (w *weir) zone() (d ZoneDetails) {
	w.t.Helper()
	require.Equal(w.t, 200, w.call("GET", "/zones/addr", &d))
	return d
}

// zoneNames lists the zones with their states.
func (w *weir) zoneNames() (names []string) {
	w.t.Helper()
	var all Zones
	require.Equal(w.t, 200, w.call("GET", "/zones", &all))
	for _, z := range all.Zones {
		names = append(names, fmt.Sprintf("%s %s %d", z.Name, z.State, z.Generation))
	}
	return names
}

// count is how many connections a key has in the zone.
func (d ZoneDetails) count(key string) int {
	for _, k := range d.Top {
		if k.Key == key {
			return k.Connections
		}
	}
	return 0
}

// sound checks the zone, which must be without faults.
func (w *weir) sound() {
	w.t.Helper()
	var c ZoneCheck
	require.Equal(w.t, 200, w.call("POST", "/zones/addr/check", &c))
	require.True(w.t, c.OK, "%v", c.Faults)
}

// workers are the stand-ins of a generation, by the order of their slots.
func (w *weir) workers(generation int) (pids []int) {
	w.t.Helper()
	for _, p := range w.status().Workers {
		if p.Generation == generation {
			pids = append(pids, p.PID)
		}
	}
	return pids
}

func (w *weir) reload() {
	w.t.Helper()
	_, o := w.post("/reload")
	require.True(w.t, o.OK, o.Error)
}

func (w *weir) kill(pid int) {
	w.t.Helper()
	require.NoError(w.t, syscall.Kill(pid, syscall.SIGKILL))
}

func TestZoneGivesBackWhatAKilledWorkerHeld(t *testing.T) {
	for _, mutex := range []string{"atomic", "flock"} {
		t.Run(mutex, func(t *testing.T) {
			w := newWeir(t, "ok", "shared_mutex = '"+mutex+"'\n"+twoWorkers+usualZone).start()
			require.Contains(t, w.errors(), `zone "addr" size=65536`)
			require.Contains(t, w.errors(), "ipv4_keys=")
			pids := w.workers(1)
			w.acquire(pids[0], "127.0.0.1", 10, 3)
			w.acquire(pids[1], "127.0.0.1", 10, 2)
			w.acquire(pids[1], "2001:db8::1", 10, 1)
			z := w.zone()
			require.Equal(t, mutex, z.Mutex.Kind)
			require.Equal(t, 2, z.Keys)
			require.Equal(t, uint64(6), z.Passed)
			require.Equal(t, "127.0.0.1", z.Top[0].Key)
			require.Equal(t, 5, z.Top[0].Connections)
			require.ElementsMatch(t, []ZoneShare{{Slot: 0, PID: pids[0], Connections: 3}, {Slot: 1, PID: pids[1], Connections: 2}}, z.Top[0].Shares)

			w.kill(pids[0])
			killed := time.Now()
			w.eventually("what it held is given back", func() bool { return w.zone().count("127.0.0.1") == 2 })
			t.Logf("given back after %s", time.Since(killed))
			z = w.zone()
			require.Equal(t, []ZoneShare{{Slot: 1, PID: pids[1], Connections: 2}}, z.Top[0].Shares, "the others' is untouched")
			require.Equal(t, 1, z.count("2001:db8::1"))
			w.eventually("it is logged", func() bool { return strings.Contains(w.errors(), "given back slot=0 connections=3") })
			w.eventually("it is replaced", func() bool { return len(w.workers(1)) == 2 })
			for range 2 {
				w.order(pids[1], "release addr 127.0.0.1")
			}
			w.order(pids[1], "release addr 2001:db8::1")
			require.Zero(t, w.zone().Keys)
			w.sound()
			require.NotContains(t, w.errors(), "damaged")
		})
	}
}

func TestZoneOfAWorkerKilledWithTheLock(t *testing.T) {
	for _, mutex := range []string{"atomic", "flock"} {
		t.Run(mutex, func(t *testing.T) {
			w := newWeir(t, "ok", "shared_mutex = '"+mutex+"'\n"+twoWorkers+usualZone).start()
			recoveries := uint64(0)
			died := 0
			for store := 4; ; store += 6 {
				w.eventually("two workers are ready", func() bool {
					s := w.status().Workers
					return len(s) == 2 && s[0].State == "ready" && s[1].State == "ready"
				})
				pids := w.workers(1)
				w.acquire(pids[0], "127.0.0.1", 10, 1)
				w.acquire(pids[1], "127.0.0.1", 10, 1)
				if answer := w.order(pids[0], "die addr 127.0.0.2 %d", store); answer == standinOutlived {
					break
				}
				died++
				began := time.Now()
				w.acquire(pids[1], "127.0.0.2", 2, 1) // the dead one may have got its place
				require.Less(t, time.Since(began), patience/2)
				w.eventually("what the dead one held is given back", func() bool {
					z := w.zone()
					return z.count("127.0.0.1") == 1 && z.count("127.0.0.2") == 1
				})
				w.order(pids[1], "release addr 127.0.0.1")
				w.order(pids[1], "release addr 127.0.0.2")
				z := w.zone()
				require.Zero(t, z.Keys)
				recoveries = z.Mutex.Recoveries
				w.sound()
			}
			require.Greater(t, died, 3)
			require.Positive(t, recoveries, "some died with the lock")
			w.eventually("the zone was checked for it", func() bool {
				return strings.Contains(w.errors(), `zone "addr" is checked: sound keys=`)
			})
			require.NotContains(t, w.errors(), "damaged")
		})
	}
}

func TestZoneIsKeptOverAReload(t *testing.T) {
	w := newWeir(t, "slow", twoWorkers+usualZone).start()
	old := w.workers(1)
	w.acquire(old[0], "127.0.0.1", 5, 2)
	w.configure("slow", "worker_processes = 1\n"+usualZone)
	w.reload()
	next := w.workers(2)
	w.acquire(next[0], "127.0.0.1", 5, 3)
	require.Equal(t, "REJECTED", w.order(next[0], "acquire addr 127.0.0.1 5"))
	require.Equal(t, "REJECTED", w.order(old[1], "acquire addr 127.0.0.1 5"))
	require.Equal(t, []string{"addr serving 2"}, w.zoneNames())
	z := w.zone()
	require.Equal(t, 5, z.count("127.0.0.1"))
	require.Equal(t, uint64(2), z.Rejected)
	require.Empty(t, z.Older)

	w.kill(old[0])
	w.eventually("what the old one held is given back", func() bool { return w.zone().count("127.0.0.1") == 3 })
	w.acquire(next[0], "127.0.0.1", 5, 2)
	w.kill(old[1])
	w.eventually("the old generation has left", func() bool { return len(w.workers(1)) == 0 })
	require.Equal(t, 5, w.zone().count("127.0.0.1"))
	require.Equal(t, 1, strings.Count(w.errors(), `zone "addr" size=`), "it was made once")
	w.sound()
}

func TestZoneSurvivesThatAllWorkersDrain(t *testing.T) {
	w := newWeir(t, "ok", twoWorkers+usualZone).start()
	w.acquire(w.workers(1)[0], "127.0.0.1", 5, 1)
	_, o := w.post("/drain")
	require.True(t, o.OK, o.Error)
	require.Equal(t, []string{"addr draining 1"}, w.zoneNames())
	w.eventually("nothing is held", func() bool { return w.zone().Keys == 0 })
	w.reload()
	require.Equal(t, []string{"addr serving 2"}, w.zoneNames())
	require.Equal(t, uint64(1), w.zone().Passed, "the same zone")
	w.sound()
}

func TestZoneWithAnotherKeyStartsEmpty(t *testing.T) {
	w := newWeir(t, "slow", "worker_processes = 1\n"+usualZone).start()
	old := w.workers(1)[0]
	w.acquire(old, "127.0.0.1", 1, 1)
	w.configure("slow", "worker_processes = 1\n"+addrZone("$remote_addr", "64k"))
	w.reload()
	require.Regexp(t, `\[warn\].*zone "addr" has another key: it starts empty.*key_before=\$binary_remote_addr`, w.errors())
	require.Equal(t, []string{"addr serving 2", "addr draining 1"}, w.zoneNames())
	next := w.workers(2)[0]
	w.acquire(next, "127.0.0.1", 1, 1)
	z := w.zone()
	require.Equal(t, 1, z.count(`"127.0.0.1"`), "text, not an address")
	require.Equal(t, 1, z.Older[0].count("127.0.0.1"))
	w.kill(old)
	w.eventually("the old zone is closed", func() bool { return slices.Equal(w.zoneNames(), []string{"addr serving 2"}) })
	w.sound()
}

func TestZoneWithAnotherSizeCountsWithTheOldOne(t *testing.T) {
	w := newWeir(t, "slow", "worker_processes = 1\n"+usualZone).start()
	first := w.workers(1)[0]
	w.acquire(first, "127.0.0.1", 5, 2)

	w.configure("slow", "worker_processes = 1\n"+addrZone("$binary_remote_addr", "128k"))
	w.reload()
	require.Regexp(t, `\[notice\].*zone "addr" has another size or lock.*size=131072.*size_before=65536`, w.errors())
	second := w.workers(2)[0]
	w.acquire(second, "127.0.0.1", 5, 1)

	w.configure("slow", "shared_mutex = 'flock'\nworker_processes = 1\n"+addrZone("$binary_remote_addr", "128k"))
	w.reload()
	third := w.workers(3)[0]
	w.acquire(third, "127.0.0.1", 5, 2)
	require.Equal(t, []string{"addr serving 3", "addr draining 1", "addr draining 2"}, w.zoneNames())
	for _, pid := range []int{first, second, third} {
		require.Equal(t, "REJECTED", w.order(pid, "acquire addr 127.0.0.1 5"), "five are open, of all generations")
	}
	z := w.zone()
	require.Equal(t, 2, z.count("127.0.0.1"))
	require.Equal(t, 5, z.Older[0].count("127.0.0.1"))
	require.Equal(t, 3, z.Older[1].count("127.0.0.1"))
	w.sound()

	// The one in the middle is killed: what it held is given back in both of its zones.
	w.kill(second)
	w.eventually("its zone is left", func() bool {
		return slices.Equal(w.zoneNames(), []string{"addr serving 3", "addr draining 1"}) && w.zone().Older[0].count("127.0.0.1") == 4
	})
	w.acquire(first, "127.0.0.1", 5, 1)
	require.Equal(t, "REJECTED", w.order(third, "acquire addr 127.0.0.1 5"))

	w.kill(first)
	w.eventually("the oldest zone is left", func() bool { return slices.Equal(w.zoneNames(), []string{"addr serving 3"}) })
	w.eventually("nobody counts in it", func() bool { return w.order(third, "older addr") == "0" })
	require.Equal(t, 2, w.zone().count("127.0.0.1"))
	w.acquire(third, "127.0.0.1", 5, 3)
	require.Equal(t, "REJECTED", w.order(third, "acquire addr 127.0.0.1 5"))
	for range 5 {
		w.order(third, "release addr 127.0.0.1") // those taken in older zones, too
	}
	require.Zero(t, w.zone().Keys)
	w.sound()
	require.NotContains(t, w.errors(), "[alert] "+fmt.Sprint(os.Getpid())+": zone")
}

func TestZoneOfAFailedReloadIsClosed(t *testing.T) {
	before := strings.Count(mappings(t), "limit_conn-addr") // of tests before this one, in whichever order they are
	w := newWeir(t, "ok", "worker_processes = 1\n"+usualZone).start()
	pid := w.workers(1)[0]
	w.acquire(pid, "127.0.0.1", 5, 1)
	w.configure("fail", "worker_processes = 1\n"+addrZone("$binary_remote_addr", "128k")+"[http.limit_conn_zone.other]\nkey = '$uri'\nsize = '32k'\n")
	for range 3 {
		_, o := w.post("/reload")
		require.False(t, o.OK)
	}
	w.eventually("its zones are closed", func() bool { return slices.Equal(w.zoneNames(), []string{"addr serving 1"}) })
	w.eventually("nothing of them is left", func() bool {
		return strings.Count(mappings(t), "limit_conn-other") == 0 && strings.Count(mappings(t), "limit_conn-addr") <= before+1
	})
	require.NotContains(t, w.errors(), "has another size", "it never served")

	var limit syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit))
	defer syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit)
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 1 << 20, Max: limit.Max}))
	w.configure("ok", "worker_processes = 1\n"+addrZone("$binary_remote_addr", "2m"))
	_, o := w.post("/reload")
	require.False(t, o.OK)
	require.Contains(t, o.Error, `zone "addr": ftruncate(memfd weir-limit_conn-addr, 2097152): the limit on file size (RLIMIT_FSIZE) is 1048576 bytes`)
	require.Equal(t, 1, w.zone().count("127.0.0.1"))
	w.sound()
	w.configure("ok", "worker_processes = 1\n")
	w.reload()
	w.eventually("all zones are closed", func() bool { return len(w.zoneNames()) == 0 })
	w.eventually("nothing of them is left", func() bool { return !strings.Contains(mappings(t), "limit_conn") })
}

// mappings are the shared memory of this process.
func mappings(t *testing.T) string {
	text, err := os.ReadFile("/proc/self/maps")
	require.NoError(t, err)
	return string(text)
}

func TestZoneThatIsDamagedIsRebuilt(t *testing.T) {
	w := newWeir(t, "ok", twoWorkers+usualZone).start()
	pids := w.workers(1)
	w.acquire(pids[0], "127.0.0.1", 10, 3)
	w.acquire(pids[1], "127.0.0.1", 10, 1)
	w.acquire(pids[1], "127.0.0.2", 10, 1)
	w.order(pids[0], "damage addr")
	require.Equal(t, "DAMAGED", w.order(pids[1], "acquire addr 127.0.0.1 10"))
	w.eventually("it is rebuilt", func() bool { return strings.Contains(w.errors(), `zone "addr" is rebuilt and sound`) })
	require.Contains(t, w.errors(), `zone "addr" is damaged: it is made anew from what can be saved`)
	z := w.zone()
	require.True(t, z.Sound)
	require.Equal(t, 4, z.count("127.0.0.1"))
	require.Equal(t, 1, z.count("127.0.0.2"))

	// Nobody but the master meets this one, and it is a worker's death that makes it look.
	w.order(pids[0], "damage addr")
	w.kill(pids[0])
	w.eventually("it is rebuilt without the dead one", func() bool {
		var d ZoneDetails
		return w.call("GET", "/zones/addr", &d) == 200 && d.Rebuilds == 2 && d.count("127.0.0.1") == 1
	})
	w.sound()

	// Damage that a check by hand finds.
	w.order(pids[1], "damage addr")
	var c ZoneCheck
	require.Equal(t, 200, w.call("POST", "/zones/addr/check", &c))
	if !c.OK { // or the look at intervals was faster
		require.NotEmpty(t, c.Faults)
		require.True(t, c.Rebuilt)
	}
	require.Equal(t, 2, c.Keys)
	w.order(pids[1], "release addr 127.0.0.1")
	w.order(pids[1], "release addr 127.0.0.2")
	require.Zero(t, w.zone().Keys)
	w.sound()
}

func TestZoneWhoseLockIsKeptDoesNotStopTheMaster(t *testing.T) {
	w := newWeir(t, "slow", "worker_processes = 1\n"+usualZone).start()
	pid := w.workers(1)[0]
	w.acquire(pid, "127.0.0.1", 5, 1)
	conn, err := net.Dial("unix", standinSocket(w.dir, pid))
	require.NoError(t, err)
	defer conn.Close()
	fmt.Fprintln(conn, "stick addr")
	w.eventually("it has the lock", func() bool { return strings.Contains(w.errors(), "drains by itself") })
	require.True(t, w.status().ZonesBusy)
	began := time.Now()
	var all Zones
	require.Equal(t, 200, w.call("GET", "/zones", &all))
	require.Len(t, all.Zones, 1)
	busy := all.Zones[0].Busy
	var holder int // a thread: a worker's loop has its process's first, a stand-in any
	_, err = fmt.Sscanf(busy, `zone "addr": its lock is held by process %d `, &holder)
	require.NoError(t, err, busy)
	require.DirExists(t, fmt.Sprintf("/proc/%d/task/%d", pid, holder))
	require.Contains(t, busy, ` and was not to be had within 1s: if that process is stopped (SIGSTOP), let it go on or kill it`)
	for _, question := range []string{"GET /zones/addr", "DELETE /zones/addr/127.0.0.1", "POST /zones/addr/check"} {
		method, path, _ := strings.Cut(question, " ")
		var refused refusal
		require.Equal(t, 503, w.call(method, path, &refused), question)
		require.Equal(t, busy, refused.Error, question)
	}
	require.Less(t, time.Since(began), 4*lockPatience+patience/2)
	w.reload()
	w.eventually("the new generation serves", func() bool {
		r, err := visit("tcp", w.addr)
		return err == nil && r.Manifest.Generation == 2
	})
	w.kill(pid)
	w.eventually("what it held is given back", func() bool { return w.zone().Keys == 0 })
	require.False(t, w.status().ZonesBusy)
	w.sound()
}

// While a zone is made that takes its time, the master answers, and does what it is told.
func TestZonesAreMadeBesideTheLoop(t *testing.T) {
	if available, ok := sys.MemoryAvailable(); !ok || available < 2<<30 {
		t.Skipf("%d bytes of memory available", available)
	}
	large := "worker_processes = 1\n" + addrZone("$binary_remote_addr", "512m")
	w := newWeir(t, "ok", large).run()
	seen := false
	w.eventually("it serves", func() bool {
		s, err := w.tryStatus()
		seen = seen || err == nil && s.State == "starting" && len(s.Workers) == 0
		return err == nil && s.State == "serving"
	})
	require.True(t, seen, "no answer while the zone was made")

	// A reload that is still making its zone when weir is told to end does not keep it.
	w.configure("ok", strings.Replace(large, "512m", "513m", 1))
	reloaded := make(chan Outcome)
	go func() {
		_, o := w.post("/reload")
		reloaded <- o
	}()
	w.eventually("the reload has begun", func() bool { return strings.Contains(w.errors(), "reload") })
	_, o := w.post("/stop")
	require.True(t, o.OK, o.Error)
	<-reloaded
	require.NoError(t, w.waitEnd())
}

func TestZoneNearlyFullIsSaidOnce(t *testing.T) {
	w := newWeir(t, "ok", "worker_processes = 1\n"+addrZone("$uri", "32k")).start()
	pid := w.workers(1)[0]
	filled := w.order(pid, `fill addr /k`)
	require.NotEqual(t, "0", filled)
	w.eventually("it is said", func() bool {
		return strings.Contains(w.errors(), `zone "addr" is nearly full: give it a larger size used_percent=`)
	})
	before := w.zone().Mutex.Acquisitions
	w.eventually("it was looked at again", func() bool { return w.zone().Mutex.Acquisitions > before+8 })
	require.Equal(t, 1, strings.Count(w.errors(), "nearly full"))
	z := w.zone()
	require.Equal(t, uint64(1), z.Failures)
	require.Equal(t, filled, fmt.Sprint(z.Keys))
	require.Len(t, z.Top, topDefault)
	w.sound()
}
