// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package main

import (
	"bytes"
	"encoding/xml"
	"io"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/stretchr/testify/require"

	"weir/conf"
)

func TestReadSettings(t *testing.T) {
	read := func(pairs ...string) (settings, error) {
		env := make(map[string]string)
		for _, pair := range pairs {
			key, value, _ := strings.Cut(pair, "=")
			env[key] = value
		}
		return readSettings(func(key string) string { return env[key] })
	}
	s, err := read()
	require.NoError(t, err)
	require.Equal(t, settings{rounds: 3, proxies: []string{"weir", "nginx", "haproxy"}, clients: stepClients, out: "docs", binary: "bin"}, s)
	s, err = read("QUICK=1")
	require.NoError(t, err)
	require.Equal(t, settings{quick: true, rounds: 1, proxies: []string{"weir", "nginx", "haproxy"}, clients: stepClients, binary: "bin"}, s, "a quick run does not write docs")
	s, err = read("PROXIES=nginx,weir", "ROUNDS=5", "OUT=here")
	require.NoError(t, err)
	require.Equal(t, settings{rounds: 5, proxies: []string{"nginx", "weir"}, clients: stepClients, out: "here", binary: "bin"}, s)
	s, err = read("WORK=instructions;10 MiB", "CLIENTS=64")
	require.NoError(t, err)
	require.Equal(t, 64, s.clients)
	require.Empty(t, s.out, "part of the work does not write docs")
	require.True(t, s.does("10 MiB"))
	require.True(t, s.does(workCounts))
	require.False(t, s.does("100 KiB"))
	for _, bad := range []string{"PROXIES=apache", "ROUNDS=0", "ROUNDS=x", "CLIENTS=1001"} {
		_, err = read(bad)
		require.ErrorContains(t, err, bad)
	}
}

func TestParsePerf(t *testing.T) {
	const counted = "1000;;instructions:u;5;100.00;;\n2000;;instructions:k;5;100.00;;\n30;;cycles:u;5;100.00;;\n40;;cycles:k;5;100.00;;\n"
	values, err := parsePerf("some other line\n" + counted)
	require.NoError(t, err)
	require.Equal(t, [...]float64{1000, 2000, 30, 40}, values)

	values, err = parsePerf(strings.Replace(counted, "1000", "<not supported>", 1))
	require.NoError(t, err)
	require.True(t, math.IsNaN(values[0]))
	require.Equal(t, 2000.0, values[1])

	_, err = parsePerf("perf: no permission\n")
	require.ErrorContains(t, err, "0 of 4 events")
}

func TestParseStat(t *testing.T) {
	stat, err := parseStat([]byte("42 (a ) b) S 7 42 42 0 -1 4194560 1 0 0 0 150 25 0 0 20 0 1 0 99 0 0"))
	require.NoError(t, err)
	require.Equal(t, procStat{pid: 42, parent: 7, user: 1500 * time.Millisecond, system: 250 * time.Millisecond}, stat)
	for _, bad := range []string{"", "42 (a)", "x (a) S 7 42 42 0 -1 4194560 1 0 0 0 150 25 0 0"} {
		_, err := parseStat([]byte(bad))
		require.Error(t, err, bad)
	}
	own, err := readStat("/proc/self/stat")
	require.NoError(t, err)
	require.Equal(t, os.Getpid(), own.pid)
	require.Equal(t, os.Getppid(), own.parent)
}

func TestParseCores(t *testing.T) {
	cores, err := parseCores("0-2,7")
	require.NoError(t, err)
	require.Equal(t, []int{0, 1, 2, 7}, cores)
	_, err = parseCores("none")
	require.Error(t, err)
}

func TestParseWrk(t *testing.T) {
	r, err := parseWrk("Running\n\n" + `{"us":2000000,"requests":500,"bytes":9,"p50_us":1,"p99_us":2,"connect":1,"read":2,"write":3,"status":4,"timeout":5}` + "\n")
	require.NoError(t, err)
	require.Equal(t, int64(500), r.Requests)
	require.Equal(t, int64(15), r.errors())
	_, err = parseWrk("unable to connect\n")
	require.ErrorContains(t, err, "no result")
	_, err = parseWrk(`{"us":2000000,"requests":0}`)
	require.ErrorContains(t, err, "no request was answered")
}

func TestResidentBytes(t *testing.T) {
	bytes, err := residentBytes(os.Getpid())
	require.NoError(t, err)
	require.Greater(t, bytes, int64(1<<20))
}

func TestSampleOf(t *testing.T) {
	c := counts{hardware: [4]float64{1000, 2000, 300, 400}, user: time.Second, system: 3 * time.Second, elapsed: 8 * time.Second}
	s := sampleOf(workload{file: "small"}, c, wrkResult{DurationUs: 2e6, Requests: 100, P99Us: 1500}, 5)
	require.Equal(t, 50.0, s.perSecond)
	require.Equal(t, 10.0, s.userInstr)
	require.Equal(t, 20.0, s.kernInstr)
	require.Equal(t, 1e4, s.cpuUserUs)
	require.Equal(t, 0.5, s.busyShare)
	require.Equal(t, 1.5, s.p99Ms)
	require.Equal(t, 30.0, s.total())

	half := sampleOf(workload{file: "10m"}, c, wrkResult{DurationUs: 2e6, Requests: 1, Bytes: 15 << 20}, 5)
	require.Equal(t, 0.75, half.perSecond, "bodies are counted by their bytes")
}

func TestMedian(t *testing.T) {
	require.True(t, math.IsNaN(median(nil)))
	require.Equal(t, 2.0, median([]float64{3, 1, 2}))
	require.Equal(t, 2.5, median([]float64{4, 1, 2, 3}))
}

// sampleResults are results in which weir keeps some budgets and breaks others.
func sampleResults() *results {
	r := newResults()
	for _, w := range workloads {
		for i, name := range allProxies {
			s := sample{perSecond: 1000, p50Ms: 1, p99Ms: 2, userInstr: 8000 * float64(i+1), kernInstr: 27e3, cpuUserUs: 5, cpuSysUs: 10}
			r.add(name, w.name, s)
		}
	}
	r.addIdle("weir", 400)
	r.addIdle("nginx", 900)
	r.addIdle("haproxy", 1300)
	return r
}

func TestVerdicts(t *testing.T) {
	r := sampleResults()
	got := make(map[string]string)
	for _, v := range r.verdicts() {
		got[v.what] = v.String()
	}
	require.Equal(t, "pass", got[mainWorkload+": user instructions"])
	require.Equal(t, "over", got[mainWorkload+": kernel instructions"])
	require.Equal(t, "pass", got["an idle keep-alive connection: bytes"])
	require.Empty(t, newResults().verdicts())
}

func TestVerdictsWithoutCounters(t *testing.T) {
	r := newResults()
	r.addIdle("weir", 600)
	r.add("weir", mainWorkload, sample{userInstr: math.NaN(), kernInstr: math.NaN(), cpuUserUs: 1})
	r.addCount("weir", mainWorkload, byCallgrind, 9001)
	var lines []string
	for _, v := range r.verdicts() {
		lines = append(lines, v.String())
	}
	require.Equal(t, []string{"over", "not counted", "over"}, lines)
}

// TestLimitAdds: the difference is that of one counter, and a part that was not counted makes it unknown.
func TestLimitAdds(t *testing.T) {
	r := newResults()
	for _, name := range []string{"weir", "nginx"} {
		for _, w := range []string{mainWorkload, limitWorkload} {
			r.add(name, w, sample{userInstr: math.NaN(), kernInstr: math.NaN(), cpuUserUs: 1})
		}
	}
	r.addCount("weir", mainWorkload, byCallgrind, 7000)
	r.addCount("weir", limitWorkload, byCallgrind, 8200)
	r.addCount("nginx", mainWorkload, byCallgrind, 20000)
	require.Equal(t, 1200.0, r.limitAdds("weir"))
	require.True(t, math.IsNaN(r.limitAdds("nginx")))
	last := func() verdict { all := r.verdicts(); return all[len(all)-1] }
	require.Contains(t, last().what, "limit_conn")
	require.Contains(t, last().what, "nginx: -")
	require.Equal(t, "pass", last().String())
	r.addCount("weir", limitWorkload, byCallgrind, 8202) // the median is 8201
	r.addCount("nginx", limitWorkload, byCallgrind, 20600)
	require.Equal(t, "over", last().String())
	require.Contains(t, last().what, "nginx: 600")

	page := (&report{settings: settings{proxies: []string{"weir", "nginx"}}, results: r, noHardware: "none"}).text()
	require.Contains(t, page, "| what limit_conn adds                     |            1,201 |               600 |")
	require.Contains(t, page, "weir (callgrind)")
}

func TestReport(t *testing.T) {
	r := &report{settings: settings{rounds: 3, proxies: allProxies[:]}, results: sampleResults(), when: time.Unix(0, 0).UTC(), machine: "2 processors"}
	page := r.page()
	require.Contains(t, page, "1970-01-01")
	require.Contains(t, page, "| weir    |             8,000 | 27,000 |")
	require.Contains(t, page, "1.46", "nginx's (16000+27000) to weir's (8000+27000) is 1.23, HAProxy's 1.46")
	require.NotContains(t, page, "no hardware counters")
	require.NotContains(t, page, "%!")

	r.noHardware = "perf stat: not supported"
	require.Contains(t, r.page(), "no hardware counters")
}

func TestPlotIsXML(t *testing.T) {
	r := &report{settings: settings{proxies: allProxies[:]}, results: sampleResults(), when: time.Unix(0, 0), versions: []string{"a < b"}}
	decoder := xml.NewDecoder(strings.NewReader(r.plot()))
	bars := 0
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == "rect" {
			bars++
		}
	}
	require.Equal(t, 1+len(allProxies)*(1+len(workloads)+1), bars, "the ground, the legend, and a bar for each workload and the memory")
}

func TestWriteReport(t *testing.T) {
	r := &report{settings: settings{proxies: allProxies[:]}, results: sampleResults(), when: time.Unix(0, 0)}
	folder := filepath.Join(t.TempDir(), "docs")
	require.NoError(t, r.write(folder))
	for _, name := range []string{"benchmarks.md", "benchmarks.svg"} {
		text, err := os.ReadFile(filepath.Join(folder, name))
		require.NoError(t, err)
		require.False(t, bytes.Contains(text, []byte("NaN")), name)
	}
}

func TestVersionIn(t *testing.T) {
	for line, want := range map[string]string{
		"nginx version: nginx/1.22.1":                     "1.22.1",
		"HAProxy version 2.6.12-1+deb12u4 2026/10/17 - x": "2.6.12-1+deb12u4",
		"weir devel":      "devel",
		"weir v0.1-3-gab": "v0.1-3-gab",
		"":                "unknown",
	} {
		require.Equal(t, want, versionIn(line), line)
	}
}

func TestThousands(t *testing.T) {
	for value, want := range map[float64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -4096: "-4,096"} {
		require.Equal(t, want, thousands(value))
	}
	require.Equal(t, "-", thousands(math.NaN()))
}

// TestWeirConfig loads weir's config as weir does: a key that was renamed must not be found out by a benchmark that does not start.
func TestWeirConfig(t *testing.T) {
	var text bytes.Buffer
	parsed := template.Must(template.New("weir").Parse(weirConfig))
	require.NoError(t, parsed.Execute(&text, site{Port: 8080, LimitPort: 8082, OriginPort: 8081, Connections: descriptors, Clients: maxClients}))
	config, warnings, err := conf.Load(conf.Source{Name: "weir.toml", Text: text.Bytes()})
	require.NoError(t, err)
	require.Empty(t, warnings)
	require.NotNil(t, config)
}

func TestWriteProfile(t *testing.T) {
	functions := []function{{name: "one", start: 10, end: 20}, {name: "two", start: 20, end: 30}, {name: "none", start: 40, end: 50}}
	var out strings.Builder
	writeProfile(&out, functions, map[uint64]int64{10: 1, 20: 3, 29: 4, 30: 1, 39: 1}, 1000)
	require.Equal(t, []string{
		"     700   70.0 %  two",
		"     200   20.0 %  (not in the executable's symbols)",
		"     100   10.0 %  one",
	}, splitLines(out.String()))
}

func splitLines(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, strings.TrimPrefix(strings.TrimRight(line, "\n"), "    "))
	}
	return lines
}

// TestAsk holds the client to telling good answers from bad ones.
func TestAsk(t *testing.T) {
	for answer, wantErr := range map[string]string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok":                    "",
		"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n":             "502",
		"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n": "close true",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok":                    "EOF",
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		go func() {
			c, err := l.Accept()
			if err == nil {
				_, _ = c.Read(make([]byte, 512))
				_, _ = io.WriteString(c, answer)
				_ = c.Close()
			}
		}()
		idle, err := openIdle(t.Context(), l.Addr().String(), 1)
		if wantErr == "" {
			require.NoError(t, err)
			idle.close()
		} else {
			require.ErrorContains(t, err, wantErr)
		}
		require.NoError(t, l.Close())
	}
}

func TestTailBufferKeepsTheEnd(t *testing.T) {
	var b tailBuffer
	for range 3 {
		_, err := b.Write(bytes.Repeat([]byte("x"), tailBytes/2+1))
		require.NoError(t, err)
	}
	_, err := b.Write([]byte("end"))
	require.NoError(t, err)
	require.Len(t, b.String(), tailBytes)
	require.True(t, strings.HasSuffix(b.String(), "end"))
}
