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

	"github.com/stretchr/testify/require"
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
	require.Equal(t, "weir: no weir is running with this configuration: nobody listens on its control socket "+filepath.Join(dir, "run/weir.sock")+"\n", stderr)

	l, err := net.Listen("unix", filepath.Join(dir, "stale.sock"))
	require.NoError(t, err)
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	code, _, stderr = ordered(t, dir, "control = 'stale.sock'", "-s", "reload")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "no weir is running")

	code, _, stderr = ordered(t, dir, "control = ''", "-s", "reload")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "this weir takes signals only")
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
		`"workers":[{"pid":101,"slot":0,"generation":1,"state":"draining","age_ms":60000,"restarts":0,"active":1,"requests":7},` +
		`{"pid":102,"slot":2,"generation":2,"state":"ready","age_ms":1000,"restarts":3,"active":2,"requests":5}],` +
		`"connections":{"active":3,"reading":0,"writing":1,"waiting":2,"accepted":9,"handled":9,"requests":12},` +
		`"zones":[{"name":"addr","state":"serving","generation":2,"key":"$uri","size_bytes":32768,"used_percent":40,"keys":3,"passed":9,"rejected":1,"sound":true}]}`
	dir := t.TempDir()
	asked := fakeMaster(t, filepath.Join(dir, "run/weir.sock"), 200, answer+"\n")
	code, stdout, stderr := ordered(t, dir, "", "status")
	require.Zero(t, code, stderr)
	require.Equal(t, []string{"GET /status"}, *asked)
	require.Equal(t, `weir 1.0, process 100, serving for 1m1s
config       weir.toml, generation 2
connections  3 active: 0 reading, 1 writing, 2 waiting
since start  9 accepted, 9 handled, 12 requests

WORKER  GENERATION  SLOT  STATE     AGE   RESTARTS  CONNECTIONS  REQUESTS
101     1           0     draining  1m0s  0         1            7
102     2           2     ready     1s    3         2            5

ZONE  STATE    SIZE  USED  KEYS  PASSED  REJECTED  DRY RUN  BYPASSED  FULL  KEY
addr  serving  32k   40%   3     9       1         0        0         0     $uri
`, stdout)
	code, stdout, _ = ordered(t, dir, "", "status", "--json")
	require.Zero(t, code)
	require.Equal(t, answer+"\n", stdout)
}
