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
	"time"

	"weir/internal/sys"
)

// control is the control socket: HTTP with JSON on a unix socket, for root and the master's own user only. Its
// goroutines have no state of the master's: they hand orders and questions to the loop and wait.
type control struct {
	name   string // as the config has it; "": there is none
	file   ownFile
	server *http.Server
}

const controlBacklog = 16

// openControl opens the control socket. It serves from now on; orders wait until the loop runs.
func (m *master) openControl(path string) (*control, error) {
	c := &control{name: path}
	if path == "" {
		return c, nil
	}
	listener, err := listenControl(path)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	c.file = ownFileAt(path)
	c.server = &http.Server{
		Handler:           m.controlHandler(),
		ConnContext:       rememberPeer,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
	go c.server.Serve(listener)
	return c, nil
}

func listenControl(path string) (net.Listener, error) {
	if err := makeParent(path); err != nil {
		return nil, err
	}
	if err := clearStaleSocket(path); err != nil {
		return nil, err
	}
	to, err := sys.SockaddrUnix(path)
	if err != nil {
		return nil, err
	}
	fd, err := sys.Listen(&to, &sys.ListenOptions{Backlog: controlBacklog, UnixMode: 0o600})
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), path)
	defer file.Close()
	return net.FileListener(file)
}

// close takes the socket away. Answers that are under way are still given.
func (c *control) close() {
	if c == nil || c.server == nil {
		return
	}
	c.file.remove()
	c.file = ownFile{}
	c.server.SetKeepAlivesEnabled(false)
	go c.server.Shutdown(context.Background())
}

// wait waits until the answers under way are given, but not for ever for an asker that does not read.
func (c *control) wait() {
	if c == nil || c.server == nil {
		return
	}
	patience, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if c.server.Shutdown(patience) != nil {
		c.server.Close()
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
		o, ok := controlOrders[r.URL.Path]
		switch {
		case !ok:
			refuse(w, http.StatusNotFound, fmt.Sprintf("no such path %q; there are GET /status, POST /reload, /reopen, /drain, /quit, /stop, /upgrade, and %s",
				r.URL.Path, zonePaths))
		case allow(w, r, http.MethodPost):
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
		switch {
		case outcome.Error == ErrUpgrade.Error():
			code = http.StatusNotImplemented
		case !outcome.OK:
			code = http.StatusInternalServerError
		}
		reply(w, code, outcome)
	case <-r.Context().Done():
	}
}

// serveStatus has the loop describe itself between two turns, and adds the zones.
func (m *master) serveStatus(w http.ResponseWriter, r *http.Request) {
	l := m.borrow(w, r)
	if l == nil {
		return
	}
	defer l.giveBack()
	status := l.status
	status.Zones = l.all()
	status.ZonesBusy = slices.ContainsFunc(status.Zones, func(z ZoneStatus) bool { return z.Busy != "" })
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
