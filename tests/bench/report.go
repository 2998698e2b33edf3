// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package main

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// report is a finished run in words.
type report struct {
	settings
	results    *results
	when       time.Time
	machine    string
	versions   []string
	noHardware string // why the machine counts no instructions; "": it does
}

func (b *benchmark) report() *report {
	r := &report{settings: b.settings, results: b.results, when: time.Now().UTC(), machine: machineKind(), noHardware: b.noHardware}
	for _, name := range b.proxies {
		r.versions = append(r.versions, title(name)+" "+versionOf(serverOf(name, b.binaries).version...))
	}
	r.versions = append(r.versions, "origin nginx "+versionOf("nginx", "-v"), "wrk "+versionOf("wrk", "-v"), runtime.Version())
	return r
}

// machineKind says what the machine is, without its name.
func machineKind() string {
	kind := fmt.Sprintf("%d processors", runtime.NumCPU())
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if key, model, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
				kind += ", " + strings.TrimSpace(model)
				break
			}
		}
	}
	if out, err := exec.Command("uname", "-s", "-r", "-m").Output(); err == nil {
		fields := strings.Fields(string(out))
		release, _, _ := strings.Cut(fields[1], "-")
		kind += ", " + fields[0] + " " + release + " " + fields[2]
	}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil && strings.Contains(string(text), " hypervisor ") {
		kind += ", virtual"
	}
	return kind
}

// text is the report as Markdown, which reads well enough on a terminal.
func (r *report) text() string {
	var b strings.Builder
	if r.noHardware != "" {
		fmt.Fprintf(&b, "**This machine has no hardware counters** (%s). Kernel instructions and all cycles are therefore not counted; "+
			"user instructions are counted apart, in a run of their own (see below); everything else is compared by processor time, "+
			"which the kernel reports in ticks of 10 ms (about 1 %% of a run).\n\n", r.noHardware)
	}
	for _, w := range workloads {
		r.writeWorkload(&b, w)
	}
	r.writeInstructions(&b)
	r.writeIdle(&b)
	r.writeBudgets(&b)
	return b.String()
}

func (r *report) writeWorkload(b *strings.Builder, w workload) {
	if !r.does(w.name) {
		return
	}
	fmt.Fprintf(b, "### %s\n\n", w.name)
	head := []string{"proxy"}
	if r.noHardware == "" {
		head = append(head, "instructions user", "kernel", "cycles user", "kernel")
	}
	rows := [][]string{append(head, "processor us user", "system", "core busy", "requests/s", "p50 ms", "p99 ms", "RSS MiB", "errors", "cost to weir's")}
	ours, haveOurs := r.results.median("weir", w.name)
	for _, name := range r.proxies {
		s, ok := r.results.median(name, w.name)
		if !ok {
			continue
		}
		ratio := "-"
		if haveOurs {
			ratio = fmt.Sprintf("%.2f", s.total()/ours.total())
		}
		row := []string{title(name)}
		if r.noHardware == "" {
			row = append(row, thousands(s.userInstr), thousands(s.kernInstr), thousands(s.userCycles), thousands(s.kernCycles))
		}
		rows = append(rows, append(row, micros(s.cpuUserUs), micros(s.cpuSysUs), fmt.Sprintf("%.0f %%", 100*s.busyShare), thousands(s.perSecond),
			millis(s.p50Ms), millis(s.p99Ms), fmt.Sprintf("%.1f", s.resident/(1<<20)), fmt.Sprintf("%.0f", s.errors), ratio))
	}
	b.WriteString(table(rows))
}

// writeInstructions shows what is counted of every proxy side by side, and what limit_conn adds.
func (r *report) writeInstructions(b *strings.Builder) {
	head := []string{"request"}
	for _, name := range r.proxies {
		head = append(head, fmt.Sprintf("%s (%s)", title(name), r.results.countedBy(name)))
	}
	rows := [][]string{head}
	row := func(what string, of func(proxy string) float64) {
		cells, counted := []string{what}, false
		for _, name := range r.proxies {
			instructions := of(name)
			counted = counted || !math.IsNaN(instructions)
			cells = append(cells, thousands(instructions))
		}
		if counted {
			rows = append(rows, cells)
		}
	}
	for _, w := range workloads {
		row(w.name, func(proxy string) float64 { return r.results.userInstructions(proxy, w.name) })
		if w.name == limitWorkload {
			row("what limit_conn adds", r.results.limitAdds)
		}
	}
	if len(rows) > 1 {
		b.WriteString("### User instructions of a request\n\n")
		b.WriteString(table(rows))
	}
}

func (r *report) writeIdle(b *strings.Builder) {
	if !r.does(workIdle) {
		return
	}
	b.WriteString("### Memory of an idle keep-alive connection\n\n")
	rows := [][]string{{"proxy", "bytes"}}
	for _, name := range r.proxies {
		rows = append(rows, []string{title(name), thousands(r.results.idleBytes(name))})
	}
	b.WriteString(table(rows))
}

func (r *report) writeBudgets(b *strings.Builder) {
	all := r.results.verdicts()
	if len(all) == 0 {
		return
	}
	b.WriteString("### weir's budgets\n\n")
	rows := [][]string{{"per request", "measured", "budget", ""}}
	for _, v := range all {
		rows = append(rows, []string{v.what, thousands(v.measured), thousands(v.budget), v.String()})
	}
	b.WriteString(table(rows))
}

// table lays rows out as a Markdown table with even columns; the first row is the head.
func table(rows [][]string) string {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], len(cell))
		}
	}
	var b strings.Builder
	line := func(row []string) {
		for i, cell := range row {
			if i == 0 {
				fmt.Fprintf(&b, "| %-*s ", widths[i], cell)
			} else {
				fmt.Fprintf(&b, "| %*s ", widths[i], cell)
			}
		}
		b.WriteString("|\n")
	}
	line(rows[0])
	for i, width := range widths {
		if i == 0 {
			b.WriteString("|" + strings.Repeat("-", width+2))
		} else {
			b.WriteString("|" + strings.Repeat("-", width+1) + ":")
		}
	}
	b.WriteString("|\n")
	for _, row := range rows[1:] {
		line(row)
	}
	b.WriteString("\n")
	return b.String()
}

// thousands writes a count with commas; NaN is "-".
func thousands(v float64) string {
	if math.IsNaN(v) {
		return "-"
	}
	digits := fmt.Sprintf("%.0f", math.Abs(v))
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	if v < 0 && digits != "0" {
		return "-" + digits
	}
	return digits
}

// micros and millis keep three digits that say something.
func micros(v float64) string { return significant(v) }
func millis(v float64) string { return significant(v) }

func significant(v float64) string {
	switch {
	case math.IsNaN(v):
		return "-"
	case v < 10:
		return fmt.Sprintf("%.2f", v)
	case v < 100:
		return fmt.Sprintf("%.1f", v)
	}
	return thousands(v)
}

func title(proxy string) string {
	if proxy == "haproxy" {
		return "HAProxy"
	}
	return proxy
}

const pageHead = `# Benchmarks

weir beside nginx and HAProxy: the same machine, the same run, the same features on.

    make bench            about five minutes; rewrites this page and its picture
    make bench QUICK=1    a minute and a half; prints only
    make bench PROXIES=weir,nginx ROUNDS=1 OUT=folder
    make bench PROXIES=weir WORK="64 connections;instructions"

%s

![What a request costs, relative to nginx](benchmarks.svg)

## How it is measured

* One worker for each proxy, pinned to one processor; the load (wrk, and a client that holds idle connections) and the origin (nginx) share another.
  The processor of the load is often the one that is full: **requests per second then say nothing about the proxy; what a request costs does.**
* The same features in each: HTTP/1.1 and keep-alive to the origin, X-Forwarded-For added, an access log. nginx and weir write it to a file through a
  32k buffer; HAProxy cannot write files and logs to its ring in memory, which costs it less. HAProxy may splice (` + "`option splice-response`" + `).
* %d rounds. A round starts the proxies afresh and gives every workload to each in turn; each figure is the median of the rounds. Errors are added up.
* "10,000 connections" are 64 that ask without a pause and 9,936 that are open and silent: a process may have 20,000 descriptors, and a busy connection
  takes two. "A new connection per request" is wrk with ` + "`Connection: close`" + `; the origin's connections are kept.
* "cost to weir's" divides the cost of a request (instructions, user and kernel; processor time where they are not counted) by weir's: above 1 costs more.
* "with limit_conn": the same through a second server of the same worker, in which a zone keyed by the client's address lets 1,000 requests in at a time:
  ` + "`limit_conn`" + ` in weir and nginx, a stick table with ` + "`conn_cur`" + ` in HAProxy.
* "with metrics, limit_req and least_conn": through a worker of its own, with four addresses of the origin to choose from, in weir with everything counted
  that ` + "`metrics`" + ` shows (by server and by origin, latencies too). nginx has ` + "`stub_status`" + ` on, HAProxy a stick table with ` + "`http_req_rate`" + ` and leastconn.
* User instructions are counted by ` + "`perf stat`" + ` where the machine has hardware counters. Where it has none, by callgrind (valgrind): a worker of its
  own, 64 clients at once, whole requests only, connections opened before. It is exact, and so much slower that the worker finds more to do in each turn
  of its loop than it would otherwise. Where callgrind is not to be had either, by single-stepping the worker's loop (%d clients, the small request only).
* The memory of an idle connection: the resident set of a worker that holds 10,000 clients which were answered once and keep the connection, less that
  of one whose table of connections is small and that holds none, both after a second of load; divided by 10,000. So the table counts, whether it is
  made at start (nginx, weir) or filled later. The kernel's memory for sockets does not count; it is the same for all.

## Results

`

// page is docs/benchmarks.md.
func (r *report) page() string {
	facts := fmt.Sprintf("Measured on %s: %s; %s.", r.when.Format(time.DateOnly), strings.Join(r.versions, ", "), r.machine)
	return fmt.Sprintf(pageHead, facts, r.rounds, r.clients) + strings.TrimRight(r.text(), "\n") + "\n"
}

// write puts the page and the picture into a folder.
func (r *report) write(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	page, picture := filepath.Join(folder, "benchmarks.md"), filepath.Join(folder, "benchmarks.svg")
	if err := os.WriteFile(page, []byte(r.page()), 0o644); err != nil {
		return err
	}
	return os.WriteFile(picture, []byte(r.plot()), 0o644)
}
