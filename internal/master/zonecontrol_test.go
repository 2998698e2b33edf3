// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"fmt"
	"net/url"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"weir/internal/zonekey"
)

func TestZoneDelete(t *testing.T) {
	w := newWeir(t, "slow", "worker_processes = 1\n"+usualZone).start()
	old := w.workers(1)[0]
	w.acquire(old, "2001:db8::1", 2, 2)
	w.configure("slow", "worker_processes = 1\n"+addrZone("$binary_remote_addr", "128k"))
	w.reload()
	next := w.workers(2)[0]
	w.acquire(next, "2001:db8::1", 3, 1)
	require.Equal(t, "REJECTED", w.order(next, "acquire addr 2001:db8::1 3"))

	var deleted ZoneDeleted
	require.Equal(t, 200, w.call("DELETE", "/zones/addr/2001:db8::1", &deleted))
	require.Equal(t, ZoneDeleted{OK: true, Zone: "addr", Key: "2001:db8::1", Connections: 3}, deleted)
	require.Contains(t, w.errors(), fmt.Sprintf(`zone "addr": a key is cleared by order key=2001:db8::1 connections=3 uid=%d`, os.Geteuid()))
	z := w.zone()
	require.Zero(t, z.Keys)
	require.Equal(t, 1, z.DeletedKeys)
	require.Equal(t, 1, z.Older[0].DeletedKeys)
	w.acquire(next, "2001:db8::1", 3, 3)
	require.Equal(t, "REJECTED", w.order(old, "acquire addr 2001:db8::1 3"))

	var refused refusal
	require.Equal(t, 404, w.call("DELETE", "/zones/addr/127.0.0.1", &refused))
	require.Equal(t, `zone "addr": no key 127.0.0.1`, refused.Error)
	w.sound()
}

func TestZoneDeleteOfTextKeys(t *testing.T) {
	w := newWeir(t, "ok", "worker_processes = 1\n"+addrZone("$uri", "64k")).start()
	pid := w.workers(1)[0]
	for key, path := range map[string]string{
		`"/a/b"`:       "/a/b",
		`"/q?x=%2F"`:   "/q?x=%2F",
		`"check"`:      "check",
		`"127.0.0.1"`:  "127.0.0.1",
		`"\x00\n\xff"`: `"\x00\n\xff"`,
		`"\"quoted"`:   `"\"quoted"`,
	} {
		w.acquire(pid, key, 5, 1)
		require.Equal(t, 1, w.zone().count(key), key)
		var deleted ZoneDeleted
		require.Equal(t, 200, w.call("DELETE", "/zones/addr/"+url.PathEscape(path), &deleted), key)
		require.Equal(t, key, deleted.Key)
	}
	w.sound()
}

func TestZoneControlRefuses(t *testing.T) {
	w := newWeir(t, "ok", "worker_processes = 1\n"+usualZone).start()
	for _, c := range []struct {
		method, path string
		code         int
		want         string
	}{
		{"POST", "/zones", 405, "/zones wants method GET"},
		{"POST", "/zones/addr", 405, "/zones/addr wants method GET"},
		{"GET", "/zones/addr/127.0.0.1", 405, "wants method DELETE"},
		{"GET", "/zones/adr", 404, `no zone "adr"`},
		{"DELETE", "/zones/adr/1", 404, `no zone "adr"`},
		{"POST", "/zones/adr/check", 404, `no zone "adr"`},
		{"GET", "/zones/a/b/c", 404, "no such path"},
		{"GET", "/zonesx", 404, "DELETE /zones/NAME/KEY"},
		{"GET", "/zones/addr?top=many", 400, "top=many: must be a number from 0 to 10000"},
		{"GET", "/zones/addr?top=-1", 400, "top=-1"},
		{"GET", "/zones/addr?top=10001", 400, "top=10001"},
		{"DELETE", "/zones/addr/%22open", 400, "must be an address, a quoted string, or plain text"},
		{"DELETE", "/zones/addr/%22%22", 400, "must be an address"},
	} {
		var refused refusal
		require.Equal(t, c.code, w.call(c.method, c.path, &refused), c.path)
		require.False(t, refused.OK)
		require.Contains(t, refused.Error, c.want)
	}
	pid := w.workers(1)[0]
	for i := range 5 {
		w.acquire(pid, fmt.Sprintf("10.0.0.%d", i), 10, i+1)
	}
	for query, want := range map[string]int{"": 5, "?top=0": 0, "?top=2": 2, "?top=10000": 5} {
		var d ZoneDetails
		require.Equal(t, 200, w.call("GET", "/zones/addr"+query, &d))
		require.Len(t, d.Top, want)
		if want > 0 {
			require.Equal(t, "10.0.0.4", d.Top[0].Key, "most connections first")
		}
	}
	require.Equal(t, "addr", w.status().Zones[0].Name)
	w.sound()
}

func TestZoneKeys(t *testing.T) {
	const binary = "$binary_remote_addr"
	for _, c := range []struct{ template, key, text string }{
		{binary, "\x7f\x00\x00\x01", "127.0.0.1"},
		{"${binary_remote_addr}", "\x7f\x00\x00\x01", "127.0.0.1"},
		{"$binary_remote_addr_prefix", " \x01\r\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", "2001:db8::"},
		{binary, "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x7f\x00\x00\x01", "::ffff:127.0.0.1"},
		{binary, "unix:", `"unix:"`},
		{binary + "$server_name", "\x7f\x00\x00\x01", `"\x7f\x00\x00\x01"`},
		{"$remote_addr", "127.0.0.1", `"127.0.0.1"`},
		{"$server_name", "abcd", `"abcd"`},
		{"binary_", "abcd", `"abcd"`},
		{"$uri", "\xff\"", `"\xff\""`},
	} {
		require.Equal(t, c.text, zonekey.Text(c.template, []byte(c.key)), c.template)
		key, err := zonekey.Parse(c.template, c.text)
		require.NoError(t, err)
		require.Equal(t, c.key, string(key))
	}
	key, err := zonekey.Parse(binary, "localhost")
	require.NoError(t, err)
	require.Equal(t, "localhost", string(key))
	_, err = zonekey.Parse(binary, `"a" "b"`)
	require.ErrorContains(t, err, "not a quoted string")
}

func FuzzZoneKey(f *testing.F) {
	f.Add("$binary_remote_addr", []byte("\x7f\x00\x00\x01"))
	f.Add("$binary_remote_addr", []byte("0123456789abcdef"))
	f.Add("$uri", []byte("/a\x00\xff\"%`"))
	f.Fuzz(func(t *testing.T, template string, key []byte) {
		back, err := zonekey.Parse(template, zonekey.Text(template, key))
		require.NoError(t, err)
		require.Equal(t, string(key), string(back))
	})
}
