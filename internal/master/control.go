// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"weir/internal/ipc"
	"weir/internal/sys"
)

// control is the control socket: HTTP with JSON on a unix socket, for root and the master's own user only. Its
// goroutines have no state of the master's: they hand orders and questions to the loop and wait.
type control struct {
	name   string // as the config has it; "": there is none
	file   ownFile
	fd     int            // the listening socket; two masters have it during an upgrade, and one of them serves
	server *controlServer // nil: it does not serve at present
}

const controlBacklog = 16

// openControl opens the control socket. It serves from now on; orders wait until the loop runs.
func (m *master) openControl(path string) (*control, error) {
	c := &control{name: path}
	if path == "" {
		return c, nil
	}
	var err error
	if c.fd, err = listenControl(path); err != nil {
		return nil, fmt.Errorf("control socket: %w", explainPath("control", path, err))
	}
	c.file = ownFileAt(path)
	if err := m.serveControl(c); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// adoptControl is the control socket of an old master, which serves it until serveControl is called.
func adoptControl(path string, fd int) *control {
	return &control{name: path, fd: fd, file: ownFileAt(path)}
}

func listenControl(path string) (int, error) {
	if err := makeParent(path); err != nil {
		return -1, err
	}
	if err := clearStaleSocket(path); err != nil {
		return -1, err
	}
	to, err := sys.SockaddrUnix(path)
	if err != nil {
		return -1, err
	}
	return sys.Listen(&to, &sys.ListenOptions{Backlog: controlBacklog, UnixMode: 0o600})
}

// serveControl answers who connects. It does nothing when that happens already, or when there is no control socket.
func (m *master) serveControl(c *control) error {
	if c.name == "" || c.server != nil {
		return nil
	}
	again, err := sys.DupAbove(c.fd, ipc.ManifestFD)
	if err != nil {
		return err
	}
	file := os.NewFile(uintptr(again), c.name)
	defer file.Close()
	listener, err := net.FileListener(file)
	if err != nil {
		return fmt.Errorf("control socket: %w", err)
	}
	s := &controlServer{accept: listener}
	s.http = &http.Server{
		ConnState:         s.onState,
		Handler:           m.controlHandler(),
		ConnContext:       rememberPeer,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
	c.server = s
	go s.http.Serve(listener)
	return nil
}

// pause leaves those who connect to another master. Those that have been accepted already are answered, by the server that is returned: it is not shut down, because that
// closes connections whose request has not been read yet.
func (c *control) pause() *controlServer {
	paused := c.server
	paused.end()
	c.server = nil
	return paused
}

// close takes the socket away. Answers that are under way are still given.
func (c *control) close() {
	if c == nil || c.name == "" {
		return
	}
	c.file.remove()
	c.leave()
}

// leave is close for a master that another one has the socket from: its file stays.
func (c *control) leave() {
	if c == nil || c.name == "" {
		return
	}
	c.file = ownFile{}
	if c.fd > 0 {
		sys.Close(c.fd)
		c.fd = -1
	}
	c.server.end()
}

// controlServer answers on the control socket, from when it is opened until it is closed or left to another master.
type controlServer struct {
	http   *http.Server
	accept net.Listener
	open   atomic.Int32 // connections
}

// onState counts connections.
func (s *controlServer) onState(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.open.Add(1)
	case http.StateClosed, http.StateHijacked:
		s.open.Add(-1)
	}
}

// end takes no more connections. Those that are there get an answer and end; [http.Server.Shutdown] would close some whose request has not been read yet.
func (s *controlServer) end() {
	if s != nil {
		s.http.SetKeepAlivesEnabled(false)
		s.accept.Close()
	}
}

// busy says whether somebody may still wait for an answer.
func (s *controlServer) busy() bool { return s != nil && s.open.Load() > 0 }

// How long who has asked is waited for when the process ends, and how often that is looked at.
const (
	answerPatience = time.Second
	answerInterval = 2 * time.Millisecond
)

// drain waits until the answers under way are given, but not for ever for an asker that does not read.
func (s *controlServer) drain() {
	for deadline := time.Now().Add(answerPatience); s.busy() && time.Now().Before(deadline); {
		time.Sleep(answerInterval)
	}
}

func (c *control) path() string { return c.name }

// peerKey finds in a request's context the user who connected.
type peerKey struct{}

func rememberPeer(ctx context.Context, conn net.Conn) context.Context {
	uid := -1
	if unixConn, ok := conn.(*net.UnixConn); ok {
		if raw, err := unixConn.SyscallConn(); err == nil {
			raw.Control(func(fd uintptr) {
				if got, _, err := sys.PeerUser(int(fd)); err == nil {
					uid = got
				}
			})
		}
	}
	return context.WithValue(ctx, peerKey{}, uid)
}

// mayControl says whether the user who connected may give orders: root, and the master's own user.
func mayControl(ctx context.Context) bool {
	uid, ok := ctx.Value(peerKey{}).(int)
	return ok && (uid == 0 || uid == os.Geteuid())
}

// controlOrders are the orders that can be posted.
var controlOrders = map[string]order{
	"/reload":  orderReload,
	"/reopen":  orderReopen,
	"/drain":   orderDrain,
	"/quit":    orderQuit,
	"/stop":    orderStop,
	"/upgrade": orderUpgrade,
}

func (m *master) controlHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !mayControl(r.Context()) {
			refuse(w, http.StatusForbidden, "only root and the user that runs weir may use the control socket")
			return
		}
		if r.URL.Path == "/status" {
			if allow(w, r, http.MethodGet) {
				m.serveStatus(w, r)
			}
			return
		}
		if r.URL.Path == "/zones" || strings.HasPrefix(r.URL.Path, "/zones/") {
			m.serveZones(w, r)
			return
		}
		if r.URL.Path == "/upstreams" || strings.HasPrefix(r.URL.Path, "/upstreams/") {
			m.serveUpstreams(w, r)
			return
		}
		o, ok := controlOrders[r.URL.Path]
		switch {
		case !ok:
			refuse(w, http.StatusNotFound, fmt.Sprintf("no such path %q; there are GET /status, POST /reload, /reopen, /drain, /quit, /stop, /upgrade, %s, and %s",
				r.URL.Path, zonePaths, upstreamPaths))
		case allow(w, r, http.MethodPost):
			if o == orderUpgrade && r.URL.Query().Get("reset_zones") == "true" {
				o = orderUpgradeReset
			}
			m.serveOrder(w, r, o)
		}
	})
}

func allow(w http.ResponseWriter, r *http.Request, method string) bool {
	if r.Method == method || method == http.MethodGet && r.Method == http.MethodHead {
		return true
	}
	w.Header().Set("Allow", method)
	refuse(w, http.StatusMethodNotAllowed, fmt.Sprintf("%s wants method %s", r.URL.Path, method))
	return false
}

// serveOrder gives the loop an order and waits for the outcome, as long as the asker does.
func (m *master) serveOrder(w http.ResponseWriter, r *http.Request, o order) {
	answer := make(chan Outcome, 1)
	select {
	case m.asked <- request{order: o, asker: answer}:
	case <-m.left:
		refuse(w, http.StatusServiceUnavailable, errLeaving.Error())
		return
	case <-r.Context().Done():
		return
	}
	select {
	case outcome := <-answer:
		code := http.StatusOK
		if !outcome.OK {
			code = http.StatusInternalServerError
		}
		reply(w, code, outcome)
	case <-r.Context().Done():
	}
}

// serveStatus has the loop describe itself between two turns, and adds the zones.
func (m *master) serveStatus(w http.ResponseWriter, r *http.Request) {
	m.askHolders()
	l := m.borrow(w, r)
	if l == nil {
		return
	}
	defer l.giveBack()
	status := l.status
	status.Zones, status.Temp, status.Upstreams = l.all(), l.keeper.tempStatus(), l.upstreams()
	status.ZonesBusy = status.Temp == nil || slices.ContainsFunc(status.Zones, func(z ZoneStatus) bool { return z.Busy != "" })
	reply(w, http.StatusOK, status)
}

// refusal is the answer to what is not an order.
type refusal struct {
	OK    bool   `json:"ok"`
	Error string `json:"error"`
}

func refuse(w http.ResponseWriter, code int, text string) {
	reply(w, code, refusal{Error: text})
}

func reply(w http.ResponseWriter, code int, answer any) {
	text, err := json.Marshal(answer)
	if err != nil {
		panic(errors.Join(errors.New("master: an answer is not JSON"), err))
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	w.Write(append(text, '\n'))
}
