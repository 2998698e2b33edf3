// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// hardwareEvents are what perf stat counts of a worker. Read-only.
var hardwareEvents = [...]string{"instructions:u", "instructions:k", "cycles:u", "cycles:k"}

// counts is what one run cost the worker. What could not be counted is NaN.
type counts struct {
	hardware [len(hardwareEvents)]float64
	user     time.Duration
	system   time.Duration
	elapsed  time.Duration
}

// haveHardware reports whether this machine's counters count, and why not.
func haveHardware(ctx context.Context) (bool, string) {
	out, err := exec.CommandContext(ctx, "perf", "stat", "-x", ";", "-e", strings.Join(hardwareEvents[:], ","), "true").CombinedOutput()
	if err != nil {
		return false, fmt.Sprintf("perf stat: %v", err)
	}
	values, err := parsePerf(string(out))
	if err != nil {
		return false, err.Error()
	}
	for i, value := range values {
		if math.IsNaN(value) {
			return false, fmt.Sprintf("perf stat: %s is not supported here", hardwareEvents[i])
		}
	}
	return true, ""
}

// parsePerf reads what `perf stat -x ;` wrote: one line an event, with the value first and the event's name third.
func parsePerf(text string) ([len(hardwareEvents)]float64, error) {
	var values [len(hardwareEvents)]float64
	var seen int
	for i := range values {
		values[i] = math.NaN()
	}
	for line := range strings.Lines(text) {
		fields := strings.Split(strings.TrimSpace(line), ";")
		if len(fields) < 3 {
			continue
		}
		for i, event := range hardwareEvents {
			if fields[2] != event {
				continue
			}
			seen++
			if value, err := strconv.ParseFloat(fields[0], 64); err == nil {
				values[i] = value
			}
		}
	}
	if seen != len(hardwareEvents) {
		return values, fmt.Errorf("perf stat: %d of %d events in its output: %s", seen, len(hardwareEvents), strings.TrimSpace(text))
	}
	return values, nil
}

// count runs a load and measures what it costs the process pid from its start to its end.
func count(ctx context.Context, pid int, hardware bool, load []string) (counts, string, error) {
	var c counts
	for i := range c.hardware {
		c.hardware[i] = math.NaN()
	}
	command := load
	if hardware {
		command = append([]string{"perf", "stat", "-x", ";", "-e", strings.Join(hardwareEvents[:], ","), "-p", strconv.Itoa(pid), "--"}, load...)
	}
	before, err := readStat(statOf(pid))
	if err != nil {
		return c, "", err
	}
	started := time.Now()
	run := exec.CommandContext(ctx, command[0], command[1:]...)
	var stdout, stderr strings.Builder
	run.Stdout, run.Stderr = &stdout, &stderr
	if err := run.Run(); err != nil {
		return c, "", errors.Join(ctx.Err(), fmt.Errorf("run(%s): %w\n%s", strings.Join(command, " "), err, stderr.String()))
	}
	c.elapsed = time.Since(started)
	after, err := readStat(statOf(pid))
	if err != nil {
		return c, "", err
	}
	c.user, c.system = after.user-before.user, after.system-before.system
	if hardware {
		c.hardware, err = parsePerf(stderr.String())
	}
	return c, stdout.String(), err
}

func statOf(pid int) string { return fmt.Sprintf("/proc/%d/stat", pid) }
