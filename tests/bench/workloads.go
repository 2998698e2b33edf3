// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package main

// idleConnections is how many silent connections the memory of one is measured with.
const idleConnections = 10000

// workload is one kind of load.
type workload struct {
	name    string // as the report has it
	file    string // what is asked for
	busy    int    // connections that ask without a pause
	idle    int    // connections that are open and silent meanwhile
	closes  bool   // Connection: close in every request
	limited bool   // through the proxy's server with limit_conn
	mixed   bool   // through a proxy of its own: see site.Mixed
	weight  int    // its share of the time
	counted int    // requests whose user instructions callgrind counts; 0: none
}

// plainWorkload is a short load before something else is measured. Read-only.
var plainWorkload = workload{file: "small", busy: 64}

// workloads are what a round runs. Read-only.
var workloads = [...]workload{
	{name: mainWorkload, file: "small", busy: 64, weight: 3, counted: 3200},
	{name: limitWorkload, file: "small", busy: 64, limited: true, weight: 3, counted: 3200},
	{name: mixWorkload, file: "small", busy: 64, mixed: true, weight: 2, counted: 3200},
	{name: "28 bytes, 1 connection", file: "small", busy: 1, weight: 1},
	{name: "28 bytes, 1,000 connections", file: "small", busy: 1000, weight: 2},
	{name: "28 bytes, 10,000 connections", file: "small", busy: 64, idle: idleConnections - 64, weight: 2},
	{name: "28 bytes, a new connection per request", file: "small", busy: 64, closes: true, weight: 3, counted: 960},
	{name: "100 KiB", file: "100k", busy: 64, weight: 3, counted: 640},
	{name: "10 MiB", file: "10m", busy: 8, weight: 3, counted: 16},
}

// What limit_conn costs is the difference of these two. Where callgrind cannot count, single-stepping counts them and no others.
const (
	mainWorkload  = "28 bytes, 64 connections"
	limitWorkload = "28 bytes with limit_conn, 64 connections"
	mixWorkload   = "28 bytes with metrics, limit_req and least_conn, 64 connections"
)
