// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package main

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	zoneJSON = `"name":"addr","kind":"limit_conn","state":"serving","generation":3,"key":"$binary_remote_addr","size_bytes":10485760,` +
		`"keys":2,"deleted_keys":1,"used_pages":3,"free_pages":2500,"used_percent":0.12,` +
		`"slots":[{"size_bytes":64,"pages":1,"used":3,"free":61,"requests":9,"failures":0}],` +
		`"passed":100,"rejected":7,"rejected_dry_run":6,"bypassed":5,"failures":4,"stale":1,"faults":2,"rebuilds":1,"sound":true,` +
		`"shared_mutex":{"kind":"atomic","acquisitions":200,"contended":20,"spins":30,"waits":2,"recoveries":1,"rolled_back":8,"longest_hold_ns":4500}`
	oldZoneJSON = `"name":"addr","kind":"limit_conn","state":"draining","generation":2,"key":"$binary_remote_addr","size_bytes":32768,"slots":[],"sound":false,"shared_mutex":{"kind":"flock"}`
)

func TestZoneCommands(t *testing.T) {
	for _, c := range []struct {
		name, answer   string
		status         int
		args           []string
		asked          string
		code           int
		stdout, stderr string
	}{
		{"list", `{"zones":[{` + zoneJSON + `},{` + oldZoneJSON + `}]}`, 200, []string{"list"}, "GET /zones", 0,
			`ZONE  KIND        STATE    SIZE  USED  KEYS  PASSED  DELAYED  REJECTED  DRY RUN  BYPASSED  FULL  KEY
addr  limit_conn  serving  10m   0%    2     100     0        7         6        5         4     $binary_remote_addr
addr  limit_conn  damaged  32k   0%    0     0       0        0         0        0         0     $binary_remote_addr
`, ""},
		{"list none", `{"zones":[]}`, 200, []string{"list"}, "GET /zones", 0, "no zones\n", ""},
		{"list json", `{"zones":[]}`, 200, []string{"list", "--json"}, "GET /zones", 0, `{"zones":[]}` + "\n", ""},
		{"show", `{` + zoneJSON + `,"top":[` +
			`{"key":"127.0.0.1","connections":5,"shares":[{"slot":0,"pid":101,"connections":2},{"slot":3,"pid":104,"connections":3}]},` +
			`{"key":"2001:db8::1","connections":1,"shares":[{"slot":0,"pid":101,"connections":1}]}],` +
			`"older":[{` + oldZoneJSON + `,"top":[]}]}`, 200, []string{"show", "addr", "--top", "2"}, "GET /zones/addr?top=2", 0,
			`zone addr, limit_conn, generation 3, serving
key        $binary_remote_addr
size       10m: 3 pages used, 2500 free
slots      of 64 bytes: 3 used, 61 free in 1 pages
keys       2, and 1 cleared whose connections have not ended
requests   100 passed, 7 rejected, 6 in a dry run, 5 bypassed, 4 without room
lock       atomic: taken 200 times, 20 contended, 2 waits, held 4.5µs at most
recovered  1 times from a dead owner, 8 stores undone; 2 faults, 1 rebuilds, 1 stale

KEY          CONNECTIONS  WORKERS
127.0.0.1    5            2 in slot 0 (process 101), 3 in slot 3 (process 104)
2001:db8::1  1            1 in slot 0 (process 101)

zone addr, limit_conn, generation 2, damaged
key        $binary_remote_addr
size       32k: 0 pages used, 0 free
keys       0, and 0 cleared whose connections have not ended
requests   0 passed, 0 rejected, 0 in a dry run, 0 bypassed, 0 without room
lock       flock: taken 0 times, 0 contended, 0 waits, held 0s at most
recovered  0 times from a dead owner, 0 stores undone; 0 faults, 0 rebuilds, 0 stale
`, ""},
		{"show rates", `{"name":"rate","kind":"limit_req","state":"serving","generation":3,"key":"$uri","size_bytes":32768,"keys":2,"passed":9,"delayed":3,` +
			`"rejected":1,"evicted":4,"sound":true,"top":[{"key":"\"/a\"","connections":0,"shares":[]},{"key":"\"/b\"","connections":0,"shares":[]}]}`, 200,
			[]string{"show", "rate"}, "GET /zones/rate", 0,
			`zone rate, limit_req, generation 3, serving
key        $uri
size       32k: 0 pages used, 0 free
keys       2, and 4 that had to leave before they were idle
requests   9 passed, 3 delayed, 1 rejected, 0 in a dry run, 0 without room
lock       : taken 0 times, 0 contended, 0 waits, held 0s at most
recovered  0 times from a dead owner, 0 stores undone; 0 faults, 0 rebuilds, 0 stale

KEY
"/a"
"/b"
`, ""},
		{"show none", `{"ok":false,"error":"no zone \"adr\""}`, 404, []string{"show", "adr"}, "GET /zones/adr", 1, "", "weir: no zone \"adr\"\n"},
		{"show bad top", `{"ok":false,"error":"top=99999: too many"}`, 400, []string{"show", "addr", "--top", "99999"}, "GET /zones/addr?top=99999", 1,
			"", "weir: top=99999: too many\n"},
		{"del", `{"ok":true,"zone":"addr","key":"127.0.0.1","connections":3}`, 200, []string{"del", "addr", "127.0.0.1"}, "DELETE /zones/addr/127.0.0.1", 0,
			"weir: zone addr: key 127.0.0.1 cleared; it had 3 connections\n", ""},
		{"del slashes", `{"ok":true,"zone":"u/r","key":"\"/a b?c\"","connections":1}`, 200, []string{"del", "u/r", "/a b?c"}, "DELETE /zones/u%2Fr/%2Fa%20b%3Fc", 0,
			"weir: zone u/r: key \"/a b?c\" cleared; it had 1 connections\n", ""},
		{"del none", `{"ok":false,"error":"zone \"addr\": no key 127.0.0.1"}`, 404, []string{"del", "addr", "127.0.0.1"}, "DELETE /zones/addr/127.0.0.1", 1,
			"", "weir: zone \"addr\": no key 127.0.0.1\n"},
		{"check", `{"ok":true,"zone":"addr","keys":7,"took_ms":2}`, 200, []string{"check", "addr"}, "POST /zones/addr/check", 0,
			"weir: zone addr: sound, 7 keys, after 2ms\n", ""},
		{"check rebuilt", `{"ok":false,"zone":"addr","faults":["one","two"],"rebuilt":true,"keys":5,"took_ms":9}`, 200, []string{"check", "addr"},
			"POST /zones/addr/check", 1,
			"one\ntwo\nweir: zone addr: faults; it was rebuilt from what the live workers hold, and is sound: 5 keys, after 9ms\n", ""},
		{"check lost", `{"ok":false,"zone":"addr","faults":["one"],"took_ms":9}`, 200, []string{"check", "addr"}, "POST /zones/addr/check", 1,
			"one\nweir: zone addr: faults; it could not be rebuilt: see the error log, after 9ms\n", ""},
		{"check json", `{"ok":false,"zone":"addr","faults":["one"]}`, 200, []string{"check", "addr", "--json"}, "POST /zones/addr/check", 1,
			`{"ok":false,"zone":"addr","faults":["one"]}` + "\n", ""},
		{"leaving", `{"ok":false,"error":"weir is shutting down"}`, 503, []string{"list"}, "GET /zones", 1, "", "weir: weir is shutting down\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			asked := fakeMaster(t, filepath.Join(dir, "run/weir.sock"), c.status, c.answer)
			code, stdout, stderr := ordered(t, dir, "", append([]string{"zone"}, c.args...)...)
			require.Equal(t, []string{c.asked}, *asked)
			require.Equal(t, c.stdout, stdout)
			require.Equal(t, c.stderr, stderr)
			require.Equal(t, c.code, code)
		})
	}
}

func TestZoneUsage(t *testing.T) {
	code, stdout, stderr := ordered(t, t.TempDir(), "", "zone", "show")
	require.Equal(t, 2, code)
	require.Empty(t, stdout)
	require.Contains(t, stderr, "weir: zone show needs NAME\n\nusage:")
	code, _, stderr = ordered(t, t.TempDir(), "", "zone", "list")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "no weir is running")
}

func TestSizeText(t *testing.T) {
	for bytes, want := range map[int64]string{0: "0", 1023: "1023", 1024: "1k", 1536: "1536", 10 << 20: "10m", 1 << 30: "1g", 36 << 10: "36k"} {
		require.Equal(t, want, sizeText(bytes))
	}
}
