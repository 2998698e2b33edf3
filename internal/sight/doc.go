// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package sight makes what people and programs see of the running instance: numbers of all workers and generations, read from shared memory.
//
//	stats.Segment   slots: Page, MemoryPage   series: Row   MasterPage
//	      \            |                        |            /
//	       slots.Table |    limit zones         |   quota   /
//	             \     |         |              |    |     /
//	              Source.Read ------------------> Snapshot
//	                                                 |---> AppendMetrics   metrics = true      Prometheus text format 0.0.4
//	                                                 |---> AppendJSON      status_api = true
//	                                                 '---- polled by Dashboard                 dashboard = true
//
// Any worker answers, without asking anybody: what only the master knows, it writes to its page of the segment. A Snapshot is made anew for each
// request, on the Go heap; it is no part of the hot path.
//
// Invariants: a number called total in the metrics does not fall, whatever is killed, reloaded or upgraded, as long as its labels stay (TestSeriesStay in package stats;
// TestMetricsNeverFall in tests/e2e). A limit zone's lock is held for as long as it takes to copy its counters.
//
// Failure: a zone whose lock is not to be had, or that is damaged, is left out of this one Snapshot (weir_limit_zone_up is 0).
//
// What is not here: what is counted, and where (package stats); which location answers with it (packages conf and worker); the keys of a zone, which only
// the control socket shows.
package sight
