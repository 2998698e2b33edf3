// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"weir/conf"
	"weir/internal/budget"
	"weir/internal/master"
)

// writeMemory writes the memory that a configuration can use at most, with so many workers: a line for each user, and the sums.
func writeMemory(w io.Writer, begin string, cfg *conf.Config, workers int) {
	b := budget.Of(cfg)
	lines := b.Lines(workers)
	each, shared := budget.Sum(lines, budget.PerWorker), budget.Sum(lines, budget.Shared)
	write := func(bytes int64, what string) { fmt.Fprintf(w, "%s%13s  %s\n", begin, mebibytes(bytes), what) }
	part := func(title string, scope budget.Scope) {
		fmt.Fprintf(w, "%s%s\n", begin, title)
		for _, l := range lines {
			if l.Scope == scope {
				write(l.Bytes, l.What+": "+l.Detail)
			}
		}
	}
	part("memory of each worker, at most:", budget.PerWorker)
	write(each, "in all, each worker")
	part("memory that the workers share:", budget.Shared)
	write(int64(workers)*each+shared, fmt.Sprintf("in all, with %s", count(workers, "worker")))
	if budget.Sum(lines, budget.Disk) > 0 {
		part("on disk, at most:", budget.Disk)
	}
}

// mebibytes is a number of bytes in MiB, rounded up to a tenth.
func mebibytes(bytes int64) string {
	tenths := (bytes*10 + 1<<20 - 1) >> 20
	return fmt.Sprintf("%s.%d MiB", withCommas(int(tenths/10)), tenths%10)
}

// count is "1 worker", "2 workers".
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// writePools writes the pools of blocks of all workers.
func writePools(w io.Writer, workers []master.WorkerStatus) {
	if len(workers) == 0 {
		return
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\nWORKER\tBLOCKS OF\tUSED\tPEAK\tALLOCATED\tLIMIT\tRESERVE\tWAITING\tWAITS\tREFUSALS\tUSERS")
	for i := range workers {
		for _, p := range workers[i].Buffers {
			users := strings.Join(p.Users, ", ")
			if p.Pressed {
				users += " (pressed)"
			}
			fmt.Fprintf(table, "%d\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\n", workers[i].PID, conf.Size(p.Size), p.Used, p.Peak, p.Allocated, p.Limit,
				p.Reserve, p.Waiting, p.Waits, p.Refusals, users)
		}
	}
	table.Flush()
}
