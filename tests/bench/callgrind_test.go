// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package main

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseCallgrind(t *testing.T) {
	total, err := parseCallgrind(strings.NewReader("events: Ir\nfn=(1) main\n1 20\n\ntotals: 60530807\n"))
	require.NoError(t, err)
	require.Equal(t, int64(60530807), total)
	for text, want := range map[string]string{
		"events: Ir\n":         "no totals",
		"totals: 1 2\n":        "2 totals",
		"totals: many\n":       "many",
		"summary: 5\nfn=(1)\n": "no totals",
	} {
		_, err := parseCallgrind(strings.NewReader(text))
		require.ErrorContains(t, err, want)
	}
}

// TestCountedWeir runs the script that stands in for weir-worker, with a program in valgrind's place that says how it was called.
func TestCountedWeir(t *testing.T) {
	folder := t.TempDir()
	binaries, counts := filepath.Join(folder, "it's bin"), filepath.Join(folder, "counts")
	require.NoError(t, os.Mkdir(binaries, 0o755))
	require.NoError(t, os.Mkdir(counts, 0o755))
	for _, name := range []string{"weir", "weir-worker"} {
		require.NoError(t, os.WriteFile(filepath.Join(binaries, name), []byte(name), 0o755))
	}
	valgrind := filepath.Join(folder, "valgrind")
	require.NoError(t, os.WriteFile(valgrind, []byte("#!/bin/sh\nprintf '%s\\n' \"$@\"\n"), 0o755))
	require.NoError(t, writeCountedWeir(valgrind, counts, binaries))
	out, err := exec.Command(filepath.Join(counts, "weir-worker"), "one", "two words").Output()
	require.NoError(t, err)
	arguments := strings.Split(strings.TrimSpace(string(out)), "\n")
	require.Contains(t, arguments, "--instr-atstart=no")
	require.Equal(t, []string{filepath.Join(counts, "worker"), "one", "two words"}, arguments[len(arguments)-3:])
	copied, err := os.ReadFile(filepath.Join(counts, "worker"))
	require.NoError(t, err)
	require.Equal(t, "weir-worker", string(copied))
}

// TestTake holds the reader of counts to one file, which it removes: the next dump must not be taken for this one.
func TestTake(t *testing.T) {
	c := callgrind{folder: t.TempDir(), pid: 42}
	write := func(name string) {
		require.NoError(t, os.WriteFile(filepath.Join(c.folder, name), []byte("totals: 5\n"), 0o644))
	}
	_, err := c.take()
	require.ErrorContains(t, err, "0 files")
	write("counts.42.1")
	write("counts.421.1") // another process
	total, err := c.take()
	require.NoError(t, err)
	require.Equal(t, int64(5), total)
	_, err = c.take()
	require.ErrorContains(t, err, "0 files")
	write("counts.42.2")
	write("counts.42.3")
	_, err = c.take()
	require.ErrorContains(t, err, "2 files")
}

// TestAskAll: what is divided by is the number of requests that were made.
func TestAskAll(t *testing.T) {
	var requests, connections atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if r.URL.Path != "/small" {
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	clients, err := openIdle(context.Background(), server.Listener.Addr().String(), 3)
	require.NoError(t, err)
	defer clients.close()
	require.NoError(t, clients.askAll(workload{file: "small"}, 5))
	require.Equal(t, int64(3+15), requests.Load())
	require.Equal(t, int64(3), connections.Load())
	require.NoError(t, clients.askAll(workload{file: "small", closes: true}, 5))
	require.Equal(t, int64(3+30), requests.Load())
	require.Equal(t, int64(3+15), connections.Load())
	require.ErrorContains(t, clients.askAll(workload{file: "none"}, 1), "404")
}
