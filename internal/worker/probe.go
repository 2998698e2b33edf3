// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package worker

import (
	"fmt"
	"net/netip"
	"os"

	"weir/internal/conn"
	"weir/internal/http1"
	"weir/internal/ipc"
	"weir/internal/request"
	"weir/internal/route"
	"weir/internal/vars"
)

// probeHeadMs is how long the master may take for its request.
const probeHeadMs = 10_000

// probeBind is what a worker of an upgraded weir serves to its master, which asks whether the new binary can answer a request: one server that says what the worker is, goes to no
// origin and writes no log. It stands behind the config's own binds.
func (w *worker) probeBind() (*request.Bind, error) {
	text, err := vars.Compile(fmt.Sprintf("%sslot %d generation %d process %d\n", ipc.ProbeAnswer, w.manifest.Slot, w.manifest.Generation, os.Getpid()))
	if err != nil {
		return nil, err
	}
	answer := request.ReturnRules(&request.Return{Code: 200, Text: text})
	server := &request.Server{
		Default: &request.Location{ServerLine: request.ServerLine("weir"), Rules: answer, SendTimeoutMs: probeHeadMs}, Rules: answer,
		HeaderTimeoutMs: probeHeadMs, Limits: http1.DefaultLimits(),
		RequestPool: w.memory.buffers, ConnectionPool: w.memory.buffers, // the one pool that every config has
	}
	if server.Locations, err = route.NewLocations(nil); err != nil {
		return nil, err
	}
	names, err := route.NewServerNames([]route.Server{{Default: true}})
	return &request.Bind{Names: names, Servers: []*request.Server{server}, Default: server, Unix: true}, err
}

// serveProbe takes the master's connection in as if it had been accepted.
func (w *worker) serveProbe() error {
	if w.manifest.Probe != 0 {
		w.engine.OnAccept(&conn.Listener{ID: len(w.config.Listeners), Unix: true}, w.manifest.Probe, netip.AddrPort{})
	}
	return nil
}
