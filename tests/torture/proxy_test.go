// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package torture

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// proxy is a weir that runs: a master, of whom another may take over, its workers, its prefix.
type proxy struct {
	t      *testing.T
	dir    string
	addr   string
	memory int64 // what a worker may take, in bytes, by `weir -t`
	http   *http.Client
	killed atomic.Int64 // workers that were to be killed
}

func startProxy(t *testing.T, s setting, origins []*origin) *proxy {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, addr: ln.Addr().String()}
	_, port, _ := net.SplitHostPort(p.addr)
	replace := []string{"@PORT@", port}
	for i, o := range origins {
		replace = append(replace, fmt.Sprintf("@ORIGIN%d@", i+1), o.Addr().String())
	}
	p.dir = prepare(t, s.config, replace...)
	p.http = &http.Client{Timeout: 40 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", p.path("run/weir.sock"))
	}}}
	said, err := exec.Command(filepath.Join(binaries, "weir"), "-p", p.dir, "-t").CombinedOutput()
	found := regexp.MustCompile(`([\d.,]+) MiB  in all, each worker`).FindSubmatch(said)
	if err != nil || found == nil {
		t.Fatalf("weir -t: %v\n%s\n%s", err, said, s.config)
	}
	mib, _ := strconv.ParseFloat(strings.ReplaceAll(string(found[1]), ",", ""), 64)
	p.memory = int64(mib * (1 << 20))
	ln.Close()
	p.launch(s.descriptors)
	return p
}

func (p *proxy) path(name string) string { return filepath.Join(p.dir, name) }

// launch starts the master, and waits until it serves.
func (p *proxy) launch(descriptors int) {
	out, err := os.Create(p.path("logs/output"))
	if err != nil {
		p.t.Fatal(err)
	}
	defer out.Close()
	limit := ""
	if descriptors > 0 {
		limit = fmt.Sprintf("ulimit -n %d; ", descriptors)
	}
	cmd := exec.Command("/bin/sh", "-c", limit+`exec "$0" -p "$1"`, filepath.Join(binaries, "weir"), p.dir)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() { _ = cmd.Wait() }()
	p.t.Cleanup(p.end)
	p.eventually("weir to serve", func() bool {
		s := p.status()
		return s != nil && s.State == "serving"
	})
}

// eventually waits until something holds, and fails the test if that takes too long.
func (p *proxy) eventually(what string, holds func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("in vain waited for %s\n%s", what, p.output())
		}
	}
}

// output is the end of what weir has written.
func (p *proxy) output() string {
	var all string
	for _, name := range []string{"logs/output", "logs/error.log"} {
		text, _ := os.ReadFile(p.path(name))
		all += "--- " + name + "\n" + string(text[max(len(text)-6000, 0):])
	}
	return all
}

// status is what the master says about itself.
type status struct {
	PID     int
	State   string
	Workers []struct {
		PID        int
		Generation int
		State      string
		Active     int
		Buffers    []struct{ Size, Used, Waiting int }
		Large      struct{ Used int }
	}
	Connections struct{ Active, Reading, Writing, Waiting int }
	Zones       []struct {
		Name, Kind, State string
		Keys, Waiting     int
		UsedPages         int `json:"used_pages"`
		Faults, Stale     int
		Rebuilds          int
		Sound             bool
	}
	Temp struct{ Used int } `json:"temp_files"`
}

// status asks the master; nil: there is none.
func (p *proxy) status() *status {
	r, err := p.http.Get("http://weir/status")
	if err != nil {
		return nil
	}
	defer r.Body.Close()
	var s status
	if json.NewDecoder(r.Body).Decode(&s) != nil {
		return nil
	}
	return &s
}

// order tells the master to do something, and waits until it has been done, or not.
func (p *proxy) order(path string) (code int, said string) {
	r, err := p.http.Post("http://weir"+path, "", nil)
	if err != nil {
		return 0, err.Error()
	}
	defer r.Body.Close()
	text, _ := io.ReadAll(r.Body)
	return r.StatusCode, string(text)
}

// workers are those that serve or leave.
func (p *proxy) workers() (list []int) {
	for _, pid := range p.processes() {
		if p.exe(pid) == "weir-worker" && !p.isProber(pid) {
			list = append(list, pid)
		}
	}
	return list
}

func (p *proxy) exe(pid int) string {
	to, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	return filepath.Base(to)
}

func (p *proxy) isProber(pid int) bool {
	line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return strings.Contains(string(line), "prober")
}

// processes are all that run from the folder of the binaries.
func (p *proxy) processes() (list []int) {
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if to, err := os.Readlink("/proc/" + e.Name() + "/exe"); err == nil && filepath.Dir(to) == binaries {
			list = append(list, pid)
		}
	}
	return list
}

// check looks at each zone while it is used.
func (p *proxy) check(w *world) {
	s := p.status()
	if s == nil {
		return
	}
	for _, z := range s.Zones {
		name := strings.ReplaceAll(z.Name, " ", "%20")
		if code, said := p.order("/zones/" + name + "/check"); code != 0 && code != 404 && !strings.Contains(said, `"ok":true`) {
			w.fault("check of zone %q: %d %s", z.Name, code, said)
		}
	}
}

// end has everything leave.
func (p *proxy) end() {
	if s := p.status(); s != nil {
		_ = syscall.Kill(s.PID, syscall.SIGTERM)
	}
	for deadline := time.Now().Add(20 * time.Second); len(p.processes()) > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Errorf("processes are left: %v\n%s", p.processes(), p.output())
			for _, pid := range p.processes() {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
			return
		}
	}
	if p.t.Failed() {
		p.t.Log(p.output())
	}
}

// ask gets something from weir over a connection of its own.
func (p *proxy) ask(path string) (string, error) {
	h := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := h.Get("http://" + p.addr + path)
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode != 200 {
		err = fmt.Errorf("status %d", r.StatusCode)
	}
	return string(text), err
}
