// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"weir/conf"
)

// patience is how long a test waits for what should happen at once.
const patience = 20 * time.Second

// weir is a master that runs in the test's own process.
type weir struct {
	t      *testing.T
	dir    string
	addr   string // of its first server
	out    lockedBuffer
	ended  chan struct{}
	result error
}

// lockedBuffer is a buffer that several goroutines use.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// freeAddress is a loopback address that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

// newWeir makes a folder with a config; ADDR in it stands for an address, and MODE for how the stand-in is to behave.
func newWeir(t *testing.T, mode, settings string) *weir {
	t.Helper()
	w := &weir{t: t, dir: t.TempDir(), addr: freeAddress(t)}
	w.configure(mode, settings)
	return w
}

const twoWorkers = "worker_processes = 2\n"

// configure writes the config: settings, and then a server at w.addr unless settings has servers of its own.
func (w *weir) configure(mode, settings string) {
	w.t.Helper()
	text := "# standin: " + mode + "\nerror_log = { path = 'error.log', level = 'info' }\n" + settings
	if !strings.Contains(settings, "[[http.server]]") {
		text += "\n[[http.server]]\nlisten = ['ADDR']\n"
	}
	text = strings.ReplaceAll(text, "ADDR", w.addr)
	require.NoError(w.t, os.WriteFile(w.path("weir.toml"), []byte(text), 0o644))
}

func (w *weir) path(name string) string { return filepath.Join(w.dir, name) }

func (w *weir) options() Options {
	return Options{
		Build: standinBuild, WorkerPath: os.Args[0], WorkerEnv: []string{standinEnv + "=1", "GORACE=atexit_sleep_ms=0"}, Out: &w.out,
		Read: func() (conf.Source, error) {
			text, err := os.ReadFile(w.path("weir.toml"))
			src := conf.Source{Name: "weir.toml", Text: text, Prefix: w.dir}
			if mode := standinMode.FindSubmatch(text); mode != nil {
				src.Overrides = fmt.Sprintf("http.default_type = %q", mode[1])
			}
			return src, err
		},
	}
}

// run starts the master and leaves it running; the test's end stops it.
func (w *weir) run() *weir {
	w.t.Helper()
	w.ended = make(chan struct{})
	go func() {
		defer close(w.ended)
		w.result = Run(w.options())
	}()
	w.t.Cleanup(func() {
		select {
		case <-w.ended:
			return
		default:
		}
		if response, err := w.client().Post("http://weir/stop", "", nil); err == nil {
			response.Body.Close()
		}
		w.waitEnd()
		if w.t.Failed() {
			w.t.Logf("error log:\n%s", w.errors())
		}
	})
	return w
}

// start is run, and waits until it serves.
func (w *weir) start() *weir {
	w.t.Helper()
	w.run()
	w.eventually("weir serves", func() bool {
		w.alive()
		_, err := os.Stat(w.path("run/weir.pid"))
		return err == nil && w.state() == "serving"
	})
	return w
}

func (w *weir) state() string {
	s, err := w.tryStatus()
	if err != nil {
		return err.Error()
	}
	return s.State
}

// alive fails the test when the master has ended.
func (w *weir) alive() {
	w.t.Helper()
	select {
	case <-w.ended:
		require.FailNow(w.t, "weir has ended", "%v\n%s", w.result, w.errors())
	default:
	}
}

func (w *weir) waitEnd() error {
	w.t.Helper()
	select {
	case <-w.ended:
	case <-time.After(patience):
		require.FailNow(w.t, "weir has not ended", "%s", w.errors())
	}
	return w.result
}

// errors is the error log so far.
func (w *weir) errors() string {
	text, _ := os.ReadFile(w.path("error.log"))
	return string(text)
}

// eventually waits for a condition.
func (w *weir) eventually(what string, condition func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			require.FailNow(w.t, "never happened: "+what, "%s", w.errors())
		}
	}
}

// signal sends a signal to the master: this process.
func (w *weir) signal(s syscall.Signal) {
	w.t.Helper()
	require.NoError(w.t, syscall.Kill(os.Getpid(), s))
}

func (w *weir) client() *http.Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", w.path("run/weir.sock"))
	}
	return &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}, Timeout: patience}
}

// post gives an order over the control socket.
func (w *weir) post(path string) (code int, o Outcome) {
	w.t.Helper()
	response, err := w.client().Post("http://weir"+path, "", nil)
	require.NoError(w.t, err)
	defer response.Body.Close()
	require.NoError(w.t, json.NewDecoder(response.Body).Decode(&o))
	return response.StatusCode, o
}

func (w *weir) tryStatus() (s Status, err error) {
	response, err := w.client().Get("http://weir/status")
	if err != nil {
		return s, err
	}
	defer response.Body.Close()
	return s, json.NewDecoder(response.Body).Decode(&s)
}

func (w *weir) status() Status {
	w.t.Helper()
	s, err := w.tryStatus()
	require.NoError(w.t, err)
	return s
}

// visit connects to an address and returns what the stand-in that accepted says.
func visit(network, addr string) (r standinReport, err error) {
	conn, err := net.DialTimeout(network, addr, time.Second)
	if err != nil {
		return r, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	return r, json.NewDecoder(conn).Decode(&r)
}

// meet visits the first server.
func (w *weir) meet() standinReport {
	w.t.Helper()
	r, err := visit("tcp", w.addr)
	require.NoError(w.t, err, "%s", w.errors())
	return r
}

// meetAll visits the first server until n workers of a generation have answered.
func (w *weir) meetAll(generation, n int) map[int]standinReport {
	w.t.Helper()
	met := make(map[int]standinReport)
	w.eventually(fmt.Sprintf("%d workers of generation %d answer", n, generation), func() bool {
		if r, err := visit("tcp", w.addr); err == nil && r.Manifest.Generation == generation {
			met[r.PID] = r
		}
		return len(met) >= n
	})
	return met
}
