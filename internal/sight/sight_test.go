// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package sight

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"weir/conf"
	"weir/internal/limitconn"
	"weir/internal/limitreq"
	"weir/internal/peers"
	"weir/internal/shmtx"
	"weir/internal/slots"
	"weir/internal/stats"
	"weir/internal/sys"
)

// newSource is shared memory in which something has happened.
func newSource(t *testing.T) *Source {
	t.Helper()
	segment, err := stats.Create("test", 4)
	require.NoError(t, err)
	table, err := slots.Create("test", 4)
	require.NoError(t, err)
	owner, err := shmtx.NewOwner()
	require.NoError(t, err)
	conns, err := limitconn.Create(limitconn.Options{Name: "addr", Key: "$host", SizeBytes: 1 << 16}, owner)
	require.NoError(t, err)
	rates, err := limitreq.Create(limitreq.Options{Name: "one", Key: "$host", SizeBytes: 1 << 16}, owner)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.Empty(t, segment.Check())
		require.Empty(t, conns.Check())
		require.Empty(t, rates.Check())
		require.NoError(t, segment.Close())
		require.NoError(t, table.Close())
		require.NoError(t, conns.Close())
		require.NoError(t, rates.Close())
	})
	limitreq.Charge([]limitreq.Limit{{Zone: rates, Key: []byte("k"), PeriodNs: 1e9}}, 1, false)
	server := stats.Series{Kind: stats.KindServer, Name: [2]string{"a\"b\\c\nd", "127.0.0.1:80"}}
	peer := stats.Series{Kind: stats.KindPeer, Name: [2]string{"app", "127.0.0.1:9000"}}
	require.NoError(t, segment.Register([]stats.Series{server, peer}, func(stats.Series) bool { return true }))
	for slot := range 2 {
		r := segment.Row(server, slot)
		r.Requests.Inc()
		r.Count(204)
		r.Total.Observe(2_000_000)
		r.Sent.Add(100)
		p := segment.Row(peer, slot)
		p.Count(503)
		p.Failures.Inc()
		p.FirstByte.Observe(20_000_000_000)
	}
	segment.Slot(0).Accepted.Add(3)
	segment.Master().ReloadsFailed.Inc()
	segment.Master().ReloadedMs.Set(1_700_000_000_500)
	config, _, err := conf.Load(conf.Source{Text: []byte("http.upstream.app = { least_conn = true, health_check = {}, server = ['127.0.0.1:9000', { address = '127.0.0.1:9001', down = true }, " +
		"{ address = 'unix:/a', slow_start = '1h' }, '127.0.0.1:9002', '127.0.0.1:9003', '127.0.0.1:9004'] }\nhttp.server = []")})
	require.NoError(t, err)
	known, err := peers.Create(4, shmtx.Atomic, owner)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, known.Close()) })
	require.NoError(t, known.Register(PeerNames(config), 1))
	origin := func(address string) *peers.Peer {
		p, ok := known.Find(peers.Name{Group: "app", Address: address})
		require.True(t, ok)
		return p
	}
	nowMs := sys.MonotonicNs() / 1e6
	origin("unix:/a").SetAdmin(peers.Up, nowMs)
	origin("127.0.0.1:9002").SetAdmin(peers.Drain, nowMs)
	origin("127.0.0.1:9003").SetHealth(peers.Unhealthy, nowMs)
	origin("127.0.0.1:9004").Failed(nowMs, 1, 1)
	return &Source{Config: config, Peers: known, Version: "1.2.3", Segment: segment, Table: table, Conns: map[string]*limitconn.Zone{"addr": conns}, Rates: map[string]*limitreq.Zone{"one": rates}}
}

// TestMetrics: the text has the numbers, each metric with HELP and TYPE before its samples, once.
func TestMetrics(t *testing.T) {
	text := string(newSource(t).Read().AppendMetrics([]byte("#\n")))
	for _, line := range []string{
		`weir_build_info{version="1.2.3",goversion="`,
		`weir_connections_accepted_total 3` + "\n",
		`weir_server_responses_total{server="a\"b\\c\nd",listen="127.0.0.1:80",class="2xx"} 2` + "\n",
		`weir_server_sent_bytes_total{server="a\"b\\c\nd",listen="127.0.0.1:80"} 200` + "\n",
		`_request_duration_seconds_bucket{server="a\"b\\c\nd",listen="127.0.0.1:80",le="0.001"} 0` + "\n",
		`_request_duration_seconds_bucket{server="a\"b\\c\nd",listen="127.0.0.1:80",le="0.0025"} 2` + "\n",
		`_request_duration_seconds_bucket{server="a\"b\\c\nd",listen="127.0.0.1:80",le="+Inf"} 2` + "\n",
		`_request_duration_seconds_sum{server="a\"b\\c\nd",listen="127.0.0.1:80"} 0.004` + "\n",
		`weir_upstream_first_byte_duration_seconds_bucket{upstream="app",peer="127.0.0.1:9000",le="10"} 0` + "\n",
		`weir_upstream_first_byte_duration_seconds_bucket{upstream="app",peer="127.0.0.1:9000",le="+Inf"} 2` + "\n",
		`weir_upstream_failures_total{upstream="app",peer="127.0.0.1:9000"} 2` + "\n",
		`weir_upstream_peer_state{upstream="app",peer="127.0.0.1:9000",state="up"} 1` + "\n",
		`weir_upstream_peer_state{upstream="app",peer="127.0.0.1:9001",state="down"} 1` + "\n",
		`weir_upstream_peer_state{upstream="app",peer="127.0.0.1:9001",state="up"} 0` + "\n",
		`weir_upstream_peer_state{upstream="app",peer="unix:/a",state="slow_start"} 1` + "\n",
		`weir_upstream_peer_state{upstream="app",peer="127.0.0.1:9002",state="draining"} 1` + "\n",
		`weir_upstream_peer_state{upstream="app",peer="127.0.0.1:9003",state="unhealthy"} 1` + "\n",
		`weir_upstream_peer_state{upstream="app",peer="127.0.0.1:9004",state="unavailable"} 1` + "\n",
		`weir_upstream_peer_fails{upstream="app",peer="127.0.0.1:9004"} 1` + "\n",
		`weir_limit_zone_requests_total{zone="one",kind="limit_req",result="passed"} 1` + "\n",
		`weir_limit_zone_keys{zone="one",kind="limit_req"} 1` + "\n",
		`weir_limit_zone_up{zone="addr",kind="limit_conn"} 1` + "\n",
		`weir_reloads_total{result="failed"} 1` + "\n",
		`weir_last_reload_timestamp_seconds 1.7000000005e+09` + "\n",
	} {
		require.Contains(t, text, line)
	}
	sample := regexp.MustCompile(`^[a-z_]+(\{[a-z]+="([^"\\]|\\.)*"(,[a-z]+="([^"\\]|\\.)*")*\})? -?[0-9.e+]+$`)
	helps, name := map[string]bool{}, ""
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		switch f := strings.Fields(line); {
		case strings.HasPrefix(line, "# HELP "):
			name = f[2]
			require.False(t, helps[name], "%s comes twice", name)
			require.True(t, strings.HasPrefix(name, "weir_"), name)
			helps[name] = true
		case strings.HasPrefix(line, "# TYPE "):
			require.Equal(t, name, f[2])
			require.Equal(t, f[3] == counter, strings.HasSuffix(name, "_total"), line)
		case line != "#":
			require.Regexp(t, sample, line)
			require.True(t, strings.HasPrefix(line, name), "%s in the samples of %s", line, name)
		}
	}
}

// TestPromtool has Prometheus's own tool look at the text, where it is installed.
func TestPromtool(t *testing.T) {
	tool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed (package prometheus)")
	}
	check := exec.Command(tool, "check", "metrics")
	check.Stdin = strings.NewReader(string(newSource(t).Read().AppendMetrics(nil)))
	out, err := check.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Empty(t, string(out))
}

// TestKeys: the keys with most connections are there, unless there are too many to look at.
func TestKeys(t *testing.T) {
	src := newSource(t)
	fd, err := syscall.Dup(src.Conns["addr"].FD())
	require.NoError(t, err)
	owner, err := shmtx.NewOwner()
	require.NoError(t, err)
	addr, err := limitconn.Attach(fd, owner, 1)
	require.NoError(t, err)
	defer addr.Close()
	var holds []limitconn.Hold
	take := func(key string, n int) {
		for range n {
			holds, _, _ = limitconn.Acquire(holds, []limitconn.Limit{{Zone: addr, Key: []byte(key), Max: 100}})
		}
	}
	take("a", 1)
	take("b", 3)
	for i := range 2 * topKeys {
		take(fmt.Sprint("c", i), 2)
	}
	for _, z := range src.ReadWithKeys().Zones {
		switch z.Name {
		case "addr":
			require.Len(t, z.Top, topKeys)
			require.Equal(t, []Key{{`"b"`, 3}}, z.Top[:1])
			require.NotContains(t, z.Top, Key{`"a"`, 1})
		case "one":
			require.Equal(t, []Key{{Key: `"k"`}}, z.Top)
		}
	}
	for _, z := range src.Read().Zones {
		require.Empty(t, z.Top, "metrics name no client")
	}
	limitconn.Release(holds)
}

// TestJSON: what is read back is what was written.
func TestJSON(t *testing.T) {
	s := newSource(t).ReadWithKeys()
	var got Snapshot
	require.NoError(t, json.Unmarshal(s.AppendJSON(nil), &got))
	require.Equal(t, *s, got)
	require.Len(t, got.Servers[0].Time.Buckets, len(got.BoundsSec)+1)
	require.EqualValues(t, 2, got.Servers[0].Time.Count)
}

// TestSeries: servers and origins are counted one by one only where somebody can see it.
func TestSeries(t *testing.T) {
	load := func(more string) *conf.Config {
		c, _, err := conf.Load(conf.Source{Name: "test", Text: []byte("[http]\nupstream.app.server = ['127.0.0.1:1', 'unix:/x']\n[[http.server]]\nlisten = ['127.0.0.1:80', '127.0.0.1:81']\nserver_name = ['a', 'b']\n[[http.server.location]]\npath = '/'\n" + more)})
		require.NoError(t, err)
		return c
	}
	require.Empty(t, Series(load("stub_status = true\n")))
	for _, key := range []string{"metrics", "status_api"} {
		require.Equal(t, []stats.Series{
			{Kind: stats.KindServer, Name: [2]string{"a", "127.0.0.1:80"}},
			{Kind: stats.KindPeer, Name: [2]string{"app", "127.0.0.1:1"}},
			{Kind: stats.KindPeer, Name: [2]string{"app", "unix:/x"}},
		}, Series(load(key+" = true\n")))
	}
}

// TestDashboard: the page knows where the numbers are, needs nothing from elsewhere, and no path gets out of its string.
func TestDashboard(t *testing.T) {
	page := Dashboard(`/a"</script>é`)
	require.Contains(t, page, `const api = "/a\"\x3c/script>\u00e9"`)
	require.Equal(t, 1, strings.Count(page, "</script>"))
	require.NotContains(t, page, "STATUS_PATH")
	require.NotRegexp(t, `(src|href)=|@import|url\(`, page)
	require.Less(t, len(page), 16<<10)
}
