// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package prober

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"weir/conf"
	"weir/internal/logfile"
	"weir/internal/peers"
	"weir/internal/shmtx"
)

// patience is for what has to happen, on a machine that does other things too.
const patience = 20 * time.Second

// newProber is one that knows the origins of the group "app", and what its zone says of one of them.
func newProber(t *testing.T, origins ...string) (p *prober, health func(origin string) peers.Health) {
	t.Helper()
	runtime.LockOSThread() // whose the lock's owner is
	owner, err := shmtx.NewSharedOwner()
	require.NoError(t, err)
	z, err := peers.Create(1, shmtx.Flock, owner)
	require.NoError(t, err)
	var names []peers.Name
	for _, origin := range origins {
		names = append(names, peers.Name{Group: "app", Address: origin})
	}
	require.NoError(t, z.Register(names, 1))
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	require.NoError(t, err)
	log := logfile.OpenErrorLog(logfile.ErrorLogOptions{FD: int(null.Fd()), Level: logfile.LevelDebug, Slot: logfile.NoSlot})
	t.Cleanup(func() { null.Close() })
	return &prober{log: log, origins: z}, func(origin string) peers.Health {
		found, ok := z.Find(peers.Name{Group: "app", Address: origin})
		require.True(t, ok)
		h, _ := found.Health()
		return h
	}
}

// groupOf is the group "app" with that health check.
func (p *prober) groupOf(t *testing.T, h conf.HealthCheck) *group {
	t.Helper()
	h.URI, h.Expect.Status = "/", "200"
	expect, err := h.Expect.Parse()
	require.NoError(t, err)
	return &group{prober: p, config: &conf.Upstream{Name: "app", HealthCheck: &h}, expect: expect, fixed: map[string]bool{}}
}

// A check that takes longer than timeout has failed: while the origin says nothing, and while its body does not end.
func TestTimeout(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // the kernel accepts, nobody answers
	require.NoError(t, err)
	defer silent.Close()
	end := make(chan struct{})
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = http.NewResponseController(w).Flush()
		<-end
	}))
	defer endless.Close()
	defer close(end)
	for _, addr := range []string{silent.Addr().String(), endless.Listener.Addr().String()} {
		p, health := newProber(t, addr)
		g := p.groupOf(t, conf.HealthCheck{Timeout: 50 * time.Millisecond, Passes: 1, Fails: 1})
		g.config.HealthCheck.Expect.Body = "~ x"
		g.expect, err = g.config.HealthCheck.Expect.Parse()
		require.NoError(t, err)
		target := g.newTarget(addr, "tcp", addr)
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		failure := target.check(ctx)
		require.ErrorContains(t, failure, "timed out")
		require.NoError(t, ctx.Err(), "it was the patience of the test that ended the check")
		target.note(failure, ctx)
		require.Equal(t, peers.Unhealthy, health(addr))
	}
}

// jitter is added to the interval: an origin with a long one is not checked again while another is checked many times.
func TestJitter(t *testing.T) {
	var checks [2]atomic.Int64
	var names [2]string
	for i := range checks {
		origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			checks[i].Add(1)
			_, _ = io.WriteString(w, "ok")
		}))
		defer origin.Close()
		names[i] = origin.Listener.Addr().String()
	}
	p, health := newProber(t, names[:]...)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	for i, jitter := range []time.Duration{0, 1000 * time.Hour} {
		g := p.groupOf(t, conf.HealthCheck{Interval: 10 * time.Millisecond, Jitter: jitter, Timeout: patience, Passes: 1, Fails: 1})
		go func() {
			g.newTarget(names[i], "tcp", names[i]).run(ctx)
			ended <- struct{}{}
		}()
	}
	for deadline := time.Now().Add(patience); (checks[0].Load() < 30 || health(names[1]) != peers.Healthy) && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	require.GreaterOrEqual(t, checks[0].Load(), int64(30), "interval")
	require.Equal(t, int64(1), checks[1].Load(), "jitter")
	cancel()
	<-ended
	<-ended
}

// passes and fails count checks in a row.
func TestVerdicts(t *testing.T) {
	p, health := newProber(t, "a")
	target := p.groupOf(t, conf.HealthCheck{Passes: 2, Fails: 3}).newTarget("a", "tcp", "a")
	for i, step := range []struct {
		passes bool
		want   peers.Health
	}{
		{true, peers.Unknown}, {true, peers.Healthy}, {false, peers.Healthy}, {false, peers.Healthy}, {true, peers.Healthy},
		{false, peers.Healthy}, {false, peers.Healthy}, {false, peers.Unhealthy}, {true, peers.Unhealthy}, {false, peers.Unhealthy}, {true, peers.Unhealthy}, {true, peers.Healthy},
	} {
		var failure error
		if !step.passes {
			failure = io.ErrUnexpectedEOF
		}
		target.note(failure, context.Background())
		require.Equal(t, step.want, health("a"), "check %d", i)
	}
}

// Tests of fields see those about the connection, too.
func TestFieldOf(t *testing.T) {
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-A", "b")
		if r.URL.Path == "/close" {
			w.Header().Set("Connection", "close")
		}
		_ = http.NewResponseController(w).Flush()
	}))
	defer origin.Close()
	for path, want := range map[string][]string{"/": nil, "/close": {"close"}} {
		response, err := http.Get(origin.URL + path)
		require.NoError(t, err)
		response.Body.Close()
		require.Equal(t, want, fieldOf(response, "connection"), path)
		require.Equal(t, []string{"chunked"}, fieldOf(response, "Transfer-Encoding"), path)
		require.Equal(t, []string{"b"}, fieldOf(response, "x-a"), path)
	}
}
