// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// settings is what the environment chooses.
type settings struct {
	quick   bool
	rounds  int
	proxies []string
	work    []string // parts of the names of the work to do; empty: all of it
	profile bool     // print where the single-stepped instructions are
	clients int      // that ask while a worker is single-stepped
	out     string   // folder for the report; "": print only
	binary  string   // folder of weir's binaries
}

// Names that WORK takes besides those of the workloads.
const (
	workIdle   = "idle"
	workCounts = "instructions"
)

// does reports whether a piece of work was asked for.
func (s settings) does(name string) bool {
	return len(s.work) == 0 || slices.ContainsFunc(s.work, func(part string) bool { return strings.Contains(name, part) })
}

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	err := bench(ctx)
	cancel()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func bench(ctx context.Context) error {
	chosen, err := readSettings(os.Getenv)
	if err != nil {
		return err
	}
	b, err := newBench(ctx, chosen)
	if err != nil {
		return err
	}
	defer b.close()
	if err := b.startOrigin(ctx); err != nil {
		return err
	}
	for round := 1; round <= chosen.rounds; round++ {
		fmt.Printf("round %d of %d\n", round, chosen.rounds)
		if err := b.round(ctx, round); err != nil {
			return err
		}
	}
	report := b.report()
	fmt.Print("\n", report.text())
	if chosen.out == "" {
		fmt.Println("\nNothing written: docs/benchmarks.md comes from a full run of all three proxies, or name a folder with OUT=.")
		return nil
	}
	if err := report.write(chosen.out); err != nil {
		return err
	}
	fmt.Printf("\nwritten: benchmarks.md, benchmarks.svg in %s\n", chosen.out)
	return nil
}

// readSettings reads the environment; get is os.Getenv.
func readSettings(get func(string) string) (settings, error) {
	on := func(key string) bool { return get(key) != "" && get(key) != "0" }
	s := settings{quick: on("QUICK"), profile: on("PROFILE"), rounds: 3, proxies: slices.Clone(allProxies[:]), clients: stepClients, out: get("OUT"), binary: cmp.Or(get("BIN"), "bin")}
	if s.quick {
		s.rounds = 1
	}
	for _, number := range []struct {
		key   string
		value *int
		most  int
	}{{"ROUNDS", &s.rounds, 20}, {"CLIENTS", &s.clients, 1000}} {
		text := get(number.key)
		if text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > number.most {
			return s, fmt.Errorf("%s=%s: want a number from 1 to %d", number.key, text, number.most)
		}
		*number.value = n
	}
	if text := get("WORK"); text != "" {
		s.work = strings.Split(text, ";")
	}
	if text := get("PROXIES"); text != "" {
		s.proxies = strings.Split(text, ",")
		for _, name := range s.proxies {
			if !slices.Contains(allProxies[:], name) {
				return s, fmt.Errorf("PROXIES=%s: no proxy %q; there are %s", text, name, strings.Join(allProxies[:], ", "))
			}
		}
	}
	if s.out == "" && !s.quick && len(s.proxies) == len(allProxies) && len(s.work) == 0 {
		s.out = "docs"
	}
	if runtime.GOOS != "linux" {
		return s, errors.New("needs Linux")
	}
	return s, nil
}
