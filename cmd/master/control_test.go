// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package main

import (
	"bytes"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"weir/internal/master"
)

// fakeMaster answers on the control socket of a folder, and notes what it was asked.
func fakeMaster(t *testing.T, socket string, code int, answer string) (asked *[]string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(socket), 0o755))
	l, err := net.Listen("unix", socket)
	require.NoError(t, err)
	asked = new([]string)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked = append(*asked, r.Method+" "+r.RequestURI)
		w.WriteHeader(code)
		w.Write([]byte(answer))
	})}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return asked
}

// ordered runs a command line in a folder with a config.
func ordered(t *testing.T, dir, config string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "weir.toml"), []byte(config), 0o644))
	var out, errs bytes.Buffer
	code = run(append([]string{"-p", dir, "-c", "weir.toml"}, args...), &out, &errs)
	return code, out.String(), errs.String()
}

func TestSignalPrintsTheOutcome(t *testing.T) {
	for _, c := range []struct {
		signal, answer string
		status         int
		code           int
		stdout, stderr string
	}{
		{"reload", `{"ok":true,"generation":3,"workers":2,"took_ms":41}`, 200, 0, "weir: reloaded: generation 3 with 2 workers serves, after 41ms\n", ""},
		{"reload", `{"ok":false,"generation":2,"error":"weir.toml:12: user: no such user"}`, 500, 1, "", "weir: reload failed: weir.toml:12: user: no such user\n"},
		{"reopen", `{"ok":true,"generation":1,"workers":2,"took_ms":3}`, 200, 0, "weir: log files reopened by all workers, after 3ms\n", ""},
		{"drain", `{"ok":true,"generation":1,"took_ms":2000}`, 200, 0, "weir: workers of generation 1 have drained, after 2s; weir -s reload starts new ones\n", ""},
		{"quit", `{"ok":true,"generation":1,"took_ms":9}`, 200, 0, "weir: stopped, after 9ms\n", ""},
		{"stop", `{"ok":true,"generation":1,"took_ms":9}`, 200, 0, "weir: stopped, after 9ms\n", ""},
		{"upgrade", `{"ok":false,"error":"cannot upgrade in place"}`, 501, 1, "", "weir: upgrade failed: cannot upgrade in place\n"},
		{"stop", `{"ok":false,"error":"only root may"}`, 403, 1, "", "weir: only root may\n"},
	} {
		t.Run(c.signal, func(t *testing.T) {
			dir := t.TempDir()
			asked := fakeMaster(t, filepath.Join(dir, "run/weir.sock"), c.status, c.answer)
			code, stdout, stderr := ordered(t, dir, "", "-s", c.signal)
			require.Equal(t, []string{"POST /" + c.signal}, *asked)
			require.Equal(t, c.code, code)
			require.Equal(t, c.stdout, stdout)
			require.Equal(t, c.stderr, stderr)

			code, stdout, _ = ordered(t, dir, "", "-q", "-s", c.signal)
			require.Equal(t, c.code, code)
			require.Empty(t, stdout)
		})
	}
}

func TestSignalWithoutAMaster(t *testing.T) {
	dir := t.TempDir()
	code, _, stderr := ordered(t, dir, "", "-s", "reload")
	require.Equal(t, 1, code)
	require.Equal(t, "weir: no weir is running with this configuration: nobody listens on its control socket "+filepath.Join(dir, "run/weir.sock")+
		", and no running process has the pid file "+filepath.Join(dir, "run/weir.pid")+"\n", stderr)

	l, err := net.Listen("unix", filepath.Join(dir, "stale.sock"))
	require.NoError(t, err)
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	code, _, stderr = ordered(t, dir, "control = 'stale.sock'", "-s", "reload")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "no weir is running")

	code, _, stderr = ordered(t, dir, "control = ''", "-s", "reload")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "control is empty, and no running process has the pid file")
}

func TestSignalReachesTheMasterWhenTheConfigHasFaults(t *testing.T) {
	dir := t.TempDir()
	asked := fakeMaster(t, filepath.Join(dir, "other.sock"), 500, `{"ok":false,"error":"weir.toml:2: worker_proceses: unknown key"}`)
	code, _, stderr := ordered(t, dir, "control = 'other.sock'\nworker_proceses = 2\n", "-s", "reload")
	require.Equal(t, 1, code)
	require.Equal(t, "weir: reload failed: weir.toml:2: worker_proceses: unknown key\n", stderr)
	require.Len(t, *asked, 1)

	code, _, stderr = ordered(t, dir, "control = 'nowhere.sock'\nworker_proceses = 2\n", "-g", "control = 'other.sock'", "-s", "reload")
	require.Equal(t, 1, code, "-g wins")
	require.Contains(t, stderr, "reload failed")
	require.Len(t, *asked, 2)

	code, _, stderr = ordered(t, dir, "control = \n", "-s", "reload")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "weir.toml:1:", "not TOML: the faults are all there is to say")
}

func TestStatusForPeopleAndForPrograms(t *testing.T) {
	const answer = `{"version":"1.0","pid":100,"state":"serving","generation":2,"config":"weir.toml","uptime_ms":61500,` +
		`"generations":[{"number":1,"state":"draining","master":100,"workers":1,"age_ms":60000,"memory_bytes":20971520,"active":1,` +
		`"held":[{"what":"tunnel","server":"example.com","location":"/ws","count":1,"oldest_ms":59000}]},` +
		`{"number":2,"state":"serving","master":100,"workers":1,"age_ms":1000,"memory_bytes":10485760,"active":2}],` +
		`"workers":[{"pid":101,"slot":0,"generation":1,"state":"draining","age_ms":60000,"memory_bytes":20971520,"restarts":0,"active":1,"requests":7},` +
		`{"pid":102,"slot":2,"generation":2,"state":"ready","age_ms":1000,"memory_bytes":10485760,"restarts":3,"active":2,"requests":5,` +
		`"buffers":[{"size":16384,"users":["buffers"],"used":3,"allocated":6,"limit":8,"reserve":2,"peak":7,"waiting":1,"waits":9,"refusals":4,"failures":0,"pressed":false},` +
		`{"size":512,"users":["request_pool_size","connection_pool_size"],"used":7,"allocated":7,"limit":8,"reserve":0,"peak":8,"waiting":0,"waits":0,"refusals":0,"failures":0,"pressed":true}],` +
		`"large":{"used":4096,"cached":0,"limit":65536,"refusals":0,"failures":0}}],` +
		`"connections":{"active":3,"reading":0,"writing":1,"waiting":2,"accepted":9,"handled":9,"requests":12},` +
		`"zones":[{"name":"addr","kind":"limit_conn","state":"serving","generation":2,"key":"$uri","size_bytes":32768,"used_percent":40,"keys":3,"passed":9,"rejected":1,"sound":true}],` +
		`"temp_files":{"limit_bytes":1073741824,"used_bytes":1500,"peak_bytes":3145728,"refused":3,"denied":1,"sound":true}}`
	dir := t.TempDir()
	asked := fakeMaster(t, filepath.Join(dir, "run/weir.sock"), 200, answer+"\n")
	code, stdout, stderr := ordered(t, dir, "", "status")
	require.Zero(t, code, stderr)
	require.Equal(t, []string{"GET /status"}, *asked)
	require.Equal(t, `weir 1.0, process 100, serving for 1m1s
config       weir.toml, generation 2
connections  3 active: 0 reading, 1 writing, 2 waiting
since start  9 accepted, 9 handled, 12 requests
temp files   1500 of 1g, at most 3m so far, refused 4 times

GENERATION  STATE     MASTER  WORKERS  AGE   MEMORY  CONNECTIONS
1           draining  100     1        1m0s  20.0M   1
2           serving   100     1        1s    10.0M   2

GENERATION 1 IS HELD BY  SERVER       LOCATION  COUNT  OLDEST
tunnel                   example.com  /ws       1      59s

WORKER  GENERATION  SLOT  STATE     AGE   MEMORY  RESTARTS  CONNECTIONS  REQUESTS
101     1           0     draining  1m0s  20.0M   0         1            7
102     2           2     ready     1s    10.0M   3         2            5

WORKER  BLOCKS OF  USED  PEAK  ALLOCATED  LIMIT  RESERVE  WAITING  WAITS  REFUSALS  USERS
102     16k        3     7     6          8      2        1        9      4         buffers
102     512        7     8     7          8      0        0        0      0         request_pool_size, connection_pool_size (pressed)

ZONE  KIND        STATE    SIZE  USED  KEYS  PASSED  DELAYED  REJECTED  DRY RUN  BYPASSED  FULL  KEY
addr  limit_conn  serving  32k   40%   3     9       0        1         0        0         0     $uri
`, stdout)
	code, stdout, _ = ordered(t, dir, "", "status", "--json")
	require.Zero(t, code)
	require.Equal(t, answer+"\n", stdout)
}

// TestSilentMaster: a master that is stopped, or hangs, is not waited for; one that is well is, as long as an order takes.
func TestSilentMaster(t *testing.T) {
	silent := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", silent)
	require.NoError(t, err)
	defer l.Close()
	var outcome master.Outcome
	err = give(silent, "/quit", 50*time.Millisecond, &outcome)
	require.ErrorIs(t, err, errSilent)
	require.ErrorContains(t, err, silent)
	require.NotErrorIs(t, err, errNobody, "no signal is sent then")
	err = askFor(t.Context(), 50*time.Millisecond, silent, http.MethodGet, "/status", &outcome)
	require.ErrorIs(t, err, errSilent)

	slow := filepath.Join(t.TempDir(), "s")
	l, err = net.Listen("unix", slow)
	require.NoError(t, err)
	asked := make(chan struct{}, 100)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/status" {
			asked <- struct{}{}
		} else {
			for range 3 {
				<-asked
			}
		}
		w.Write([]byte(`{"ok":true}`))
	})}
	go server.Serve(l)
	defer server.Close()
	require.NoError(t, give(slow, "/quit", 10*time.Second/3, &outcome))
	require.True(t, outcome.OK)
}
