// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// descriptors is how many a server may use, and so what its table of connections is sized for.
const descriptors = 20000

// maxClients is the most clients at a time: a busy one takes two descriptors.
const maxClients = 12000

// benchmark is one run of this program.
type benchmark struct {
	settings
	folder     string // temporary
	binaries   string
	proxyCore  int
	loadCore   int
	hardware   bool
	noHardware string // why not
	valgrind   string // its path; "": not installed
	origin     runningServer
	results    *results
}

func newBench(ctx context.Context, chosen settings) (*benchmark, error) {
	b := &benchmark{settings: chosen, results: newResults()}
	var err error
	if b.binaries, err = filepath.Abs(chosen.binary); err != nil {
		return nil, err
	}
	if b.proxyCore, b.loadCore, err = pickCores(); err != nil {
		return nil, err
	}
	if b.hardware, b.noHardware = haveHardware(ctx); !b.hardware {
		if !b.profile { // it is single-stepping that makes one
			b.valgrind = findValgrind()
		}
		fmt.Printf("no hardware counters (%s): user instructions by callgrind or single-stepping, the rest as processor time\n", b.noHardware)
	}
	// Its own threads are clients, so they run where the load runs.
	if out, err := exec.Command("taskset", "-acp", strconv.Itoa(b.loadCore), strconv.Itoa(os.Getpid())).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("taskset: %w: %s", err, out)
	}
	if b.folder, err = os.MkdirTemp("", "weir-bench-"); err != nil {
		return nil, err
	}
	// A worker that has given up root must get in.
	if err := os.Chmod(b.folder, 0o755); err != nil {
		return nil, err
	}
	return b, os.WriteFile(b.script(), []byte(wrkScript), 0o644)
}

func (b *benchmark) script() string { return filepath.Join(b.folder, "done.lua") }

// pickCores takes the first two processors that this process may use.
func pickCores() (proxy, load int, err error) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "Cpus_allowed_list:"); ok {
			cores, err := parseCores(strings.TrimSpace(rest))
			if err != nil {
				return 0, 0, err
			}
			if len(cores) < 2 {
				fmt.Println("only one processor: the load runs on the proxy's; requests per second mean nothing here")
				return cores[0], cores[0], nil
			}
			return cores[0], cores[1], nil
		}
	}
	return 0, 0, errors.New("pickCores: no Cpus_allowed_list")
}

// parseCores reads a list as the kernel writes it: 0-3,7.
func parseCores(text string) ([]int, error) {
	var cores []int
	for part := range strings.SplitSeq(text, ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		from, err1 := strconv.Atoi(first)
		to, err2 := strconv.Atoi(last)
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("parseCores(%s): %w", text, err)
		}
		for core := from; core <= to; core++ {
			cores = append(cores, core)
		}
	}
	return cores, nil
}

func (b *benchmark) close() {
	if b.origin.process != nil {
		b.origin.stop()
	}
	_ = os.RemoveAll(b.folder) // a leftover of the temporary folder harms nobody
}

func (b *benchmark) startOrigin(ctx context.Context) error {
	folder := filepath.Join(b.folder, "origin")
	if err := writeOriginFiles(folder); err != nil {
		return err
	}
	var err error
	b.origin, err = serverOf("origin", b.binaries).start(ctx, "origin", folder, b.loadCore, 0, descriptors)
	return err
}

// round starts every proxy afresh, gives each workload to each of them in turn, and stops them.
func (b *benchmark) round(ctx context.Context, number int) error {
	var proxies, mixed []runningServer
	defer func() {
		for _, p := range append(proxies, mixed...) {
			p.stop()
		}
	}()
	for _, name := range b.proxies {
		if number == 1 && b.does(workIdle) {
			if err := b.measureIdle(ctx, name); err != nil {
				return err
			}
		}
		p, err := b.startProxy(ctx, name, fmt.Sprintf("%s-%d", name, number), descriptors, false)
		if err != nil {
			return err
		}
		proxies = append(proxies, p)
		if b.does(mixWorkload) {
			if p, err = b.startProxy(ctx, name, fmt.Sprintf("%s-%d", name, number), descriptors, true); err != nil {
				return err
			}
			mixed = append(mixed, p)
		}
	}
	for _, w := range workloads {
		if !b.does(w.name) {
			continue
		}
		through := proxies
		if w.mixed {
			through = mixed
		}
		for _, p := range through {
			if err := b.measure(ctx, p, w); err != nil {
				return fmt.Errorf("%s, %s: %w\n%s", p.name, w.name, err, p.output)
			}
		}
	}
	for _, p := range proxies {
		if b.hardware || number != b.rounds || !b.does(workCounts) {
			continue
		}
		if err := b.countInstructions(ctx, p); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

// startProxy starts a proxy with a table of so many connections, in a folder of its own. mixed: see site.
func (b *benchmark) startProxy(ctx context.Context, name, folder string, connections int, mixed bool) (runningServer, error) {
	s := serverOf(name, b.binaries)
	s.mixed = mixed
	return s.start(ctx, name, filepath.Join(b.folder, folderOf(folder, mixed)), b.proxyCore, b.origin.port, connections)
}

func folderOf(name string, mixed bool) string {
	if mixed {
		return name + "-mixed"
	}
	return name
}

// measure runs one workload against one proxy.
func (b *benchmark) measure(ctx context.Context, p runningServer, w workload) error {
	if w.idle > 0 {
		idle, err := openIdle(ctx, p.address(w), w.idle)
		if err != nil {
			return err
		}
		defer idle.close()
	}
	duration := time.Duration(w.weight) * time.Second
	if b.quick {
		duration = max(time.Second, duration/2)
	}
	c, output, err := count(ctx, p.worker, b.hardware, wrkCommand(b.loadCore, b.script(), w, duration, p.address(w)))
	if err != nil {
		return err
	}
	result, err := parseWrk(output)
	if err != nil {
		return err
	}
	resident, err := residentBytes(p.worker)
	if err != nil {
		return err
	}
	s := sampleOf(w, c, result, resident)
	b.results.add(p.name, w.name, s)
	fmt.Printf("  %-8s %-40s %8.0f requests/s  %s  errors %d\n", p.name, w.name, s.perSecond, s.cost(), result.errors())
	return nil
}

// measureIdle sets down what an idle connection takes of the worker's memory, its part of the table included, whether the table is
// made at start or as it fills: the resident set of a worker that holds idleConnections, less that of one whose table is
// small and that holds none, both after the same short load.
func (b *benchmark) measureIdle(ctx context.Context, name string) error {
	// Room for the load before it; and nginx closes idle connections when less than a sixteenth of its table is free.
	const smallTable = 1000
	without, err := b.residentWith(ctx, name, smallTable, 0)
	if err != nil {
		return err
	}
	with, err := b.residentWith(ctx, name, idleConnections+smallTable, idleConnections)
	if err != nil {
		return err
	}
	each := float64(with-without) / idleConnections
	b.results.addIdle(name, each)
	fmt.Printf("  %-8s %-40s %8.0f bytes each\n", name, "10,000 idle connections", each)
	return nil
}

// residentWith is the resident set of a fresh worker after a second of load, with so many idle connections open.
func (b *benchmark) residentWith(ctx context.Context, name string, table, connections int) (int64, error) {
	p, err := b.startProxy(ctx, name, fmt.Sprintf("%s-idle-%d", name, connections), table, false)
	if err != nil {
		return 0, err
	}
	defer p.stop()
	if _, _, err := count(ctx, p.worker, false, wrkCommand(b.loadCore, b.script(), plainWorkload, time.Second, p.address(plainWorkload))); err != nil {
		return 0, err
	}
	idle, err := openIdle(ctx, p.address(plainWorkload), connections)
	if err != nil {
		return 0, fmt.Errorf("%s: %w\n%s", name, err, p.output)
	}
	defer idle.close()
	resident, err := residentBytes(p.worker)
	return resident, errors.Join(err, idle.stillOpen())
}

// countInstructions counts user instructions where the machine has no counters: under callgrind, or by single-stepping p.
func (b *benchmark) countInstructions(ctx context.Context, p runningServer) error {
	if b.valgrind != "" {
		err := b.countAll(ctx, p.name)
		if err == nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		fmt.Printf("  %-8s not counted under callgrind: %v\n", p.name, err)
	}
	for _, w := range workloads {
		if w.name == mainWorkload || w.name == limitWorkload {
			if err := b.step(ctx, p, w); err != nil {
				return err
			}
		}
	}
	return nil
}

// step counts user instructions by single-stepping. That it is not permitted, or too slow, is said and is no failure.
func (b *benchmark) step(ctx context.Context, p runningServer, w workload) error {
	limit := 20 * time.Second
	if b.quick {
		limit = 10 * time.Second
	}
	var profile map[uint64]int64
	if b.profile {
		profile = make(map[uint64]int64)
	}
	instructions, err := instructionsPerRequest(ctx, p.worker, p.address(w), b.clients, limit, b.proxyCore, b.loadCore, profile)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, os.ErrPermission), errors.Is(err, context.DeadlineExceeded):
		fmt.Printf("  %-8s user instructions not counted: %v\n", p.name, err)
		return nil
	case err != nil:
		return err
	}
	b.addCount(p.name, w, bySteps, instructions)
	if b.profile {
		return printProfile(os.Stdout, p.worker, profile, instructions)
	}
	return nil
}

// addCount sets down and prints what was counted of one request.
func (b *benchmark) addCount(proxy string, w workload, by counter, instructions float64) {
	b.results.addCount(proxy, w.name, by, instructions)
	fmt.Printf("  %-8s %-40s %8.0f user instructions (%s)\n", proxy, w.name, instructions, by)
}

// sampleOf works out what one run says.
func sampleOf(w workload, c counts, r wrkResult, resident int64) sample {
	n := float64(r.Requests)
	// A large body that was under way when the time was up was paid for but is not in wrk's count.
	if size := originFiles[w.file]; size >= 1<<20 {
		n = math.Max(n, float64(r.Bytes)/float64(size))
	}
	seconds := float64(r.DurationUs) / 1e6
	s := sample{
		perSecond:  n / seconds,
		p50Ms:      float64(r.P50Us) / 1e3,
		p99Ms:      float64(r.P99Us) / 1e3,
		errors:     float64(r.errors()),
		resident:   float64(resident),
		cpuUserUs:  float64(c.user.Microseconds()) / n,
		cpuSysUs:   float64(c.system.Microseconds()) / n,
		busyShare:  (c.user + c.system).Seconds() / c.elapsed.Seconds(),
		userInstr:  c.hardware[0] / n,
		kernInstr:  c.hardware[1] / n,
		userCycles: c.hardware[2] / n,
		kernCycles: c.hardware[3] / n,
	}
	return s
}
