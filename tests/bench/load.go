// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// wrkScript makes wrk end its output with one line of JSON: microseconds, counts, bytes.
const wrkScript = `done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('\n{"us":%d,"requests":%d,"bytes":%d,"p50_us":%d,"p99_us":%d,"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}\n',
    summary.duration, summary.requests, summary.bytes, latency:percentile(50), latency:percentile(99),
    e.connect, e.read, e.write, e.status, e.timeout))
end
`

// wrkResult is that line.
type wrkResult struct {
	DurationUs int64 `json:"us"`
	Requests   int64 `json:"requests"`
	Bytes      int64 `json:"bytes"`
	P50Us      int64 `json:"p50_us"`
	P99Us      int64 `json:"p99_us"`
	Connect    int64 `json:"connect"`
	Read       int64 `json:"read"`
	Write      int64 `json:"write"`
	Status     int64 `json:"status"`
	Timeout    int64 `json:"timeout"`
}

func (r wrkResult) errors() int64 { return r.Connect + r.Read + r.Write + r.Status + r.Timeout }

// wrkCommand is the command line of one load, pinned to a core.
func wrkCommand(core int, script string, w workload, duration time.Duration, address string) []string {
	command := []string{"taskset", "-c", strconv.Itoa(core), "wrk", "-t", "1", "-c", strconv.Itoa(w.busy),
		"-d", fmt.Sprintf("%ds", max(1, int(duration.Round(time.Second).Seconds()))), "--timeout", "30s", "-s", script}
	if w.closes {
		command = append(command, "-H", "Connection: close")
	}
	return append(command, "http://"+address+"/"+w.file)
}

// parseWrk finds the line of JSON in wrk's output.
func parseWrk(output string) (wrkResult, error) {
	var r wrkResult
	scanner := bufio.NewScanner(strings.NewReader(output))
	for scanner.Scan() {
		if line := scanner.Bytes(); len(line) > 0 && line[0] == '{' {
			if err := json.Unmarshal(line, &r); err != nil {
				return r, fmt.Errorf("parseWrk: %w", err)
			}
			if r.Requests == 0 {
				return r, errors.New("parseWrk: no request was answered")
			}
			return r, nil
		}
	}
	return r, fmt.Errorf("parseWrk: no result in %q", output)
}

// askTimeout is how long an answer may take: long, because a worker that is single-stepped is slow.
const askTimeout = 2 * time.Minute

// idleClients are connections that have been answered once and say nothing more.
type idleClients struct {
	connections []net.Conn
}

// openIdle opens n connections, one after the other, and has one small request answered on each.
func openIdle(ctx context.Context, address string, n int) (*idleClients, error) {
	idle := &idleClients{connections: make([]net.Conn, 0, n)}
	for i := range n {
		c, err := net.DialTimeout("tcp", address, 10*time.Second)
		if err == nil {
			idle.connections = append(idle.connections, c)
			err = ask(c, bufio.NewReaderSize(c, 1024), plainWorkload)
		}
		if err = errors.Join(err, ctx.Err()); err != nil {
			idle.close()
			return nil, fmt.Errorf("openIdle(%s): connection %d: %w", address, i+1, err)
		}
	}
	return idle, nil
}

// stillOpen checks that the server has closed none of a sample of the connections.
func (idle *idleClients) stillOpen() error {
	for i := 0; i < len(idle.connections); i += max(1, len(idle.connections)/100) {
		c := idle.connections[i]
		if err := ask(c, bufio.NewReaderSize(c, 1024), plainWorkload); err != nil {
			return fmt.Errorf("idle connection %d: %w", i+1, err)
		}
	}
	return nil
}

// askAll has every client ask times times, all clients at once, and returns when all have been answered. Where the workload closes
// connections, each request has a new one.
func (idle *idleClients) askAll(w workload, times int) error {
	failed := make([]error, len(idle.connections))
	var running sync.WaitGroup
	for i, c := range idle.connections {
		running.Go(func() {
			r := bufio.NewReaderSize(c, 1024)
			for n := 0; n < times && failed[i] == nil; n++ {
				if w.closes {
					failed[i] = askOnce(c.RemoteAddr().String(), w)
				} else {
					failed[i] = ask(c, r, w)
				}
			}
		})
	}
	running.Wait()
	return errors.Join(failed...)
}

// askOnce asks on a connection of its own.
func askOnce(address string, w workload) error {
	c, err := net.DialTimeout("tcp", address, askTimeout)
	if err != nil {
		return err
	}
	defer c.Close()
	return ask(c, bufio.NewReaderSize(c, 1024), w)
}

func (idle *idleClients) close() {
	for _, c := range idle.connections {
		_ = c.Close()
	}
}

// ask sends one request of a workload and reads its answer, which must be 200 and keep the connection if the request does.
func ask(c net.Conn, r *bufio.Reader, w workload) error {
	if err := c.SetDeadline(time.Now().Add(askTimeout)); err != nil {
		return err
	}
	connection := ""
	if w.closes {
		connection = "Connection: close\r\n"
	}
	if _, err := fmt.Fprintf(c, "GET /%s HTTP/1.1\r\nHost: %s\r\n%s\r\n", w.file, c.RemoteAddr(), connection); err != nil {
		return err
	}
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK || response.Close != w.closes {
		return fmt.Errorf("answer %s, close %v", response.Status, response.Close)
	}
	return nil
}

// askers are clients that ask one request after the other.
type askers struct {
	answered atomic.Int64
	done     atomic.Bool
	idle     *idleClients
	running  sync.WaitGroup
}

// askForEver starts clients that ask until finish is called, or until one of their own requests fails.
func askForEver(ctx context.Context, address string, clients int) (*askers, error) {
	idle, err := openIdle(ctx, address, clients)
	if err != nil {
		return nil, err
	}
	a := &askers{idle: idle}
	for _, c := range idle.connections {
		a.running.Go(func() {
			r := bufio.NewReaderSize(c, 1024)
			for !a.done.Load() && ask(c, r, plainWorkload) == nil {
				a.answered.Add(1)
			}
		})
	}
	return a, nil
}

// finish closes the clients and waits until they have ended.
func (a *askers) finish() {
	a.done.Store(true)
	a.idle.close()
	a.running.Wait()
}
