// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestControlSocketRefusesWhatIsNotAnOrder(t *testing.T) {
	w := newWeir(t, "ok", "worker_processes = 1\n").start()
	info, err := os.Stat(w.path("run/weir.sock"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	for _, c := range []struct {
		method, path string
		code         int
		want         string
	}{
		{"GET", "/reload", 405, "/reload wants method POST"},
		{"DELETE", "/status", 405, "/status wants method GET"},
		{"POST", "/nonsense", 404, `no such path "/nonsense"`},
	} {
		request, err := http.NewRequest(c.method, "http://weir"+c.path, nil)
		require.NoError(t, err)
		response, err := w.client().Do(request)
		require.NoError(t, err)
		require.Equal(t, c.code, response.StatusCode, c.path)
		var o Outcome
		require.NoError(t, json.NewDecoder(response.Body).Decode(&o))
		response.Body.Close()
		require.False(t, o.OK)
		require.Contains(t, o.Error, c.want)
	}
}

func TestControlSocketKnowsItsUsers(t *testing.T) {
	with := func(uid int) context.Context { return context.WithValue(context.Background(), peerKey{}, uid) }
	require.True(t, mayControl(with(0)))
	require.True(t, mayControl(with(os.Geteuid())))
	require.False(t, mayControl(with(os.Geteuid()+1)))
	require.False(t, mayControl(with(-1)))
	require.False(t, mayControl(context.Background()))

	a, b := net.Pipe() // not a unix socket: nobody knows who it is
	defer a.Close()
	defer b.Close()
	require.False(t, mayControl(rememberPeer(context.Background(), a)))

	m := new(master)
	recorder := httptest.NewRecorder()
	request := httptest.NewRequest(http.MethodPost, "/stop", nil).WithContext(with(os.Geteuid() + 1))
	m.controlHandler().ServeHTTP(recorder, request)
	require.Equal(t, http.StatusForbidden, recorder.Code)
	require.JSONEq(t, `{"ok":false,"error":"only root and the user that runs weir may use the control socket"}`, recorder.Body.String())
}

func TestStatus(t *testing.T) {
	w := newWeir(t, "ok", twoWorkers).start()
	w.meetAll(1, 2)
	s := w.status()
	require.Equal(t, standinBuild, s.Version)
	require.Equal(t, os.Getpid(), s.PID)
	require.Equal(t, "serving", s.State)
	require.Equal(t, 1, s.Generation)
	require.Equal(t, "weir.toml", s.Config)
	require.Len(t, s.Workers, 2)
	var requests uint64
	for i, p := range s.Workers {
		require.Equal(t, i, p.Slot)
		require.Equal(t, "ready", p.State)
		require.Zero(t, p.Restarts)
		requests += p.Requests
	}
	require.Equal(t, s.Connections.Requests, requests)
	require.GreaterOrEqual(t, requests, uint64(2))
}

func TestWithoutControlSocketAndPidFile(t *testing.T) {
	w := newWeir(t, "ok", "worker_processes = 1\ncontrol = ''\npid = ''\n").run()
	w.meetAll(1, 1)
	require.NoDirExists(t, w.path("run"))
	w.signal(15)
	require.NoError(t, w.waitEnd())
}
