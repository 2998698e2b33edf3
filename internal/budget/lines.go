// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package budget

import (
	"fmt"

	"weir/conf"
)

// Scope says what a line is counted for.
type Scope uint8

// The scopes.
const (
	PerWorker Scope = iota // memory of each worker
	Shared                 // memory of all workers together
	Disk                   // no memory: files
)

// Line is one user of memory.
type Line struct {
	Scope  Scope
	What   string // a config key where one decides
	Detail string // how the bytes come about; may be empty
	Bytes  int64  // at most
}

// What objects take on the Go heap, in bytes. A test of package worker, which knows them, fails when one of these is too small.
const (
	ConnectionBytes = 384          // a connection and its place in the loop
	RequestBytes    = 10<<10 + 512 // a request with what it keeps: tables of 64 header fields, attempts with origins, captures
	FieldBytes      = 24           // a header field
	BlockBytes      = 64           // the descriptor of a block
	BufBytes        = 64           // the descriptor of a piece of a body
	EncoderBytes    = 1536 << 10   // a compressor
	DecoderBytes    = 128 << 10    // what unpacks gzip
	FilterBytes     = 144 << 10    // the buffers of a body that is changed

	// garbageBytes, and a share of what is alive, is how far garbage may grow before the collector, which nothing wakes while requests are served
	// without allocating, has to work more often.
	garbageBytes = 16 << 20
	garbageShare = 4

	// fieldsMost is the most fields that a head may have, with what a table has too much while it grows.
	fieldsMost = 1000 * 3 / 2
	// settingsBytes is what a server, a location or an origin of the config takes.
	settingsBytes = 8 << 10
	// logBytes is what a log's buffer has besides what is configured: room for a line.
	logBytes = 8<<10 + 1
	// runtimeBytes is what the Go runtime has for itself, stacks and tables of the heap included.
	runtimeBytes = 8 << 20
	// programBytes is the program itself: its code and constants, as far as they are in memory.
	programBytes = 12 << 20

	// SplicePipes and SplicePipeBytes are the kernel pipes of a worker at most, and the size of one; ScratchBytes is for reading ahead without
	// keeping: see package eventpipe.
	SplicePipes     = 64
	SplicePipeBytes = 256 << 10
	ScratchBytes    = 64 << 10

	statsBytes = 8 << 10  // of a worker in the page of numbers
	zoneBytes  = 32 << 10 // of the zones that every weir has: numbers, workers, temp_quota
)

// heap are the lines of the Go heap: live objects with all connections in use.
func (b Budget) heap() []Line {
	c := b.config
	blocks := 0
	for _, p := range b.pools() {
		blocks += p.Limit
	}
	settings := 0
	for i := range c.HTTP.Servers {
		settings++
		for range c.HTTP.Servers[i].Blocks() {
			settings++
		}
	}
	for i := range c.Groups {
		settings += 1 + len(c.Groups[i].Servers)
	}
	large := LargeMax(c.WorkerConnections)
	encoders := Encoders(c)
	lines := []Line{
		{PerWorker, "worker_connections", fmt.Sprintf("%d connections of %d bytes", c.WorkerConnections, ConnectionBytes), int64(c.WorkerConnections) * ConnectionBytes},
		{PerWorker, "requests", fmt.Sprintf("%d of %d bytes", c.WorkerConnections, RequestBytes), int64(c.WorkerConnections) * RequestBytes},
		{PerWorker, "large header tables", fmt.Sprintf("%d requests with more than 64 fields", large), int64(large) * 2 * fieldsMost * FieldBytes},
		{PerWorker, "descriptors", fmt.Sprintf("of %d blocks and what they hold", blocks), int64(blocks)*BlockBytes + int64(b.Buffers.Limit)*int64(Bufs(b.Buffers.BlockBytes))*BufBytes},
		{PerWorker, "configuration", fmt.Sprintf("%d servers, locations, groups and origins", settings), int64(settings) * settingsBytes},
		{PerWorker, "access_log", "buffers", logBuffers(c)},
	}
	if n := bodies(c); n > 0 {
		lines = append(lines, Line{PerWorker, "filters", fmt.Sprintf("%d bodies of %s", n, conf.Size(FilterBytes)), int64(n) * FilterBytes})
	}
	if encoders > 0 {
		lines = append(lines, Line{PerWorker, "gzip", fmt.Sprintf("%d compressors of %s", encoders, conf.Size(EncoderBytes)), int64(encoders) * EncoderBytes})
	}
	if n := Decoders(c); n > 0 {
		lines = append(lines, Line{PerWorker, "gunzip", fmt.Sprintf("%d of %s", n, conf.Size(DecoderBytes)), int64(n) * DecoderBytes})
	}
	return lines
}

const (
	// fewestEncoders and encoderShare bound the answers that a worker compresses at one time.
	fewestEncoders = 16
	encoderShare   = 128
	// decoderShare bounds those that it unpacks.
	decoderShare = 16
)

// Filters says whether bodies of answers are changed on their way.
func Filters(c *conf.Config) bool { return bodies(c) > 0 }

// bodies is how many bodies a worker may change at one time. Compressing is bounded by Encoders; nothing else leaves an answer as it is.
func bodies(c *conf.Config) int {
	if len(c.HTTP.CharsetMaps) > 0 || c.HasSettings(func(s *conf.Settings) bool { return s.Gunzip || len(s.SubFilter) > 0 }) {
		return c.WorkerConnections
	}
	return Encoders(c)
}

// Decoders is how many answers a worker may unpack at one time: none if none are, else one for each 16 connections, and not fewer than 16.
func Decoders(c *conf.Config) int {
	if !c.HasSettings(func(s *conf.Settings) bool { return s.Gunzip }) {
		return 0
	}
	return max(fewestEncoders, c.WorkerConnections/decoderShare)
}

// Encoders is how many answers a worker may compress at one time: none if nothing is compressed, else one for each 128 connections, and not fewer than 16.
func Encoders(c *conf.Config) int {
	if !c.HasSettings(func(s *conf.Settings) bool { return s.Gzip }) {
		return 0
	}
	return max(fewestEncoders, c.WorkerConnections/encoderShare)
}

// pools are all pools.
func (b Budget) pools() []Pool {
	return append(append([]Pool{b.Buffers}, b.RequestPools...), b.ConnectionPools...)
}

// GoBytes is the most that the Go runtime of a worker may use: its memory limit.
func (b Budget) GoBytes() int64 {
	alive := sum(b.heap())
	return alive + garbage(alive) + runtimeBytes
}

// garbage is how much of it there may be beside so many bytes that are alive.
func garbage(alive int64) int64 { return garbageBytes + alive/garbageShare }

// Bufs is how many descriptors the bytes of a block can have at most: one for each 512 bytes, as smaller chunks are put together, and two more, each
// with two for its framing.
func Bufs(blockBytes int) int { return 3 * (blockBytes/512 + 2) }

// Lines are all users of memory, where there are so many workers: those of each worker first, then what the workers share, then what is on
// disk.
func (b Budget) Lines(workers int) []Line {
	c := b.config
	lines := []Line{blockLine("buffers", "blocks", b.Buffers)}
	for _, p := range b.RequestPools {
		lines = append(lines, blockLine("request_pool_size", "pieces", p))
	}
	for _, p := range b.ConnectionPools {
		lines = append(lines, blockLine("connection_pool_size", "pieces", p))
	}
	lines = append(lines, Line{PerWorker, "large_client_header_buffers", "heads and values larger than a piece", b.LargeBytes})
	heap := b.heap()
	lines = append(lines, heap...)
	lines = append(lines,
		Line{PerWorker, "garbage", "on the Go heap, until it is collected", garbage(sum(heap))},
		Line{PerWorker, "runtime", "what the Go runtime has for itself", runtimeBytes},
		Line{PerWorker, "program", "its code and constants", programBytes},
		Line{PerWorker, "scratch", "for reading ahead without keeping", ScratchBytes})
	if c.Buffers.Splice != conf.SpliceOff {
		lines = append(lines, Line{PerWorker, "buffers.splice", fmt.Sprintf("%d kernel pipes of %s", SplicePipes, conf.Size(SplicePipeBytes)), SplicePipes * SplicePipeBytes})
	}
	for i := range c.HTTP.LimitConnZones {
		z := &c.HTTP.LimitConnZones[i]
		lines = append(lines, Line{Shared, "limit_conn_zone", z.Name, int64(z.Size)})
	}
	for i := range c.HTTP.LimitReqZones {
		z := &c.HTTP.LimitReqZones[i]
		lines = append(lines, Line{Shared, "limit_req_zone", z.Name, int64(z.Size)})
	}
	if size := c.MaxConnsBytes(); size > 0 {
		lines = append(lines, Line{Shared, "max_conns", "requests in progress at origins", int64(size)})
	}
	lines = append(lines, Line{Shared, "numbers", "of workers, and who they are", int64(workers)*2*statsBytes + 3*zoneBytes})
	if n := countedOnes(c); n > 0 {
		slots := max(minSlots, int64(workers*(c.MaxGenerations+2)))
		lines = append(lines, Line{Shared, "metrics", fmt.Sprintf("%d servers and origins", n), n * (slots + 1) * rowBytes})
	}
	if c.Buffers.TempQuota > 0 {
		lines = append(lines, Line{Disk, "buffers.temp_quota", "temporary files in " + c.Buffers.TempPath, int64(c.Buffers.TempQuota)})
	}
	return lines
}

// The counters of one server or origin are a row for each slot of the slot table, of which there are some in any case, and one with the name: package stats.
const (
	rowBytes = 640
	minSlots = 64
)

// countedOnes is how many servers and origins are counted one by one.
func countedOnes(c *conf.Config) int64 {
	if !c.ShowsNumbers() {
		return 0
	}
	n := len(c.HTTP.Servers)
	for i := range c.Groups {
		n += len(c.Groups[i].Servers)
	}
	return int64(n)
}

// blockLine is the line of a pool.
func blockLine(what, unit string, p Pool) Line {
	return Line{PerWorker, what, fmt.Sprintf("%d %s of %s", p.Limit, unit, conf.Size(p.BlockBytes)), p.Bytes()}
}

// logBuffers are the buffers of the access logs, one for each file.
func logBuffers(c *conf.Config) (bytes int64) {
	files := map[string]conf.Size{}
	each := func(s *conf.Settings) {
		for _, l := range s.AccessLogs {
			files[string(l.Path)] = max(files[string(l.Path)], l.Buffer)
		}
	}
	for i := range c.HTTP.Servers {
		each(&c.HTTP.Servers[i].Settings)
		for l := range c.HTTP.Servers[i].Blocks() {
			each(&l.Settings)
		}
	}
	for _, size := range files {
		bytes += int64(size) + logBytes
	}
	return bytes
}

// sum adds up lines.
func sum(lines []Line) (bytes int64) {
	for _, l := range lines {
		bytes += l.Bytes
	}
	return bytes
}

// Sum adds up the lines of a scope.
func Sum(lines []Line, s Scope) (bytes int64) {
	for _, l := range lines {
		if l.Scope == s {
			bytes += l.Bytes
		}
	}
	return bytes
}
