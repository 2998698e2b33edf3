// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"go.uber.org/zap"

	"weir/internal/logfile"
	"weir/internal/peers"
	"weir/internal/sight"
)

// Upstreams is the answer to GET /upstreams and GET /upstreams/GROUP.
type Upstreams struct {
	Upstreams []sight.Upstream `json:"upstreams"`
}

// PeerOrdered is the answer to POST /upstreams/GROUP/PEER?state=STATE.
type PeerOrdered struct {
	OK       bool   `json:"ok"`
	Upstream string `json:"upstream"`
	Peer     string `json:"peer"`
	State    string `json:"state"`           // that it is in now, see sight.Peer
	Before   string `json:"before"`          // and was in
	Active   int    `json:"active"`          // requests that it has in progress
	Times    int    `json:"times,omitempty"` // how often the group has the address, when that is several times
	Warning  string `json:"warning,omitempty"`
}

// upstreamPaths says which paths serveUpstreams knows.
const upstreamPaths = "GET /upstreams, GET /upstreams/GROUP, POST /upstreams/GROUP/PEER?state=up|drain|down"

// serveUpstreams answers what is asked about origins, and takes an operator's word for one. Groups and addresses come in the path, percent-encoded.
func (m *master) serveUpstreams(w http.ResponseWriter, r *http.Request) {
	var words []string
	for word := range strings.SplitSeq(strings.Trim(strings.TrimPrefix(r.URL.EscapedPath(), "/upstreams"), "/"), "/") {
		plain, err := url.PathUnescape(word)
		if err != nil {
			refuse(w, http.StatusBadRequest, err.Error())
			return
		}
		words = append(words, plain)
	}
	method := http.MethodGet
	if len(words) == 2 {
		method = http.MethodPost
	}
	switch {
	case len(words) > 2:
		refuse(w, http.StatusNotFound, fmt.Sprintf("no such path %q; there are %s", r.URL.Path, upstreamPaths))
		return
	case !allow(w, r, method):
		return
	}
	l := m.borrow(w, r)
	if l == nil {
		return
	}
	defer l.giveBack()
	list := l.upstreams()
	if words[0] != "" {
		if list = groupNamed(list, words[0]); list == nil {
			refuse(w, http.StatusNotFound, fmt.Sprintf("no upstream %q", words[0]))
			return
		}
	}
	if len(words) == 2 {
		l.orderPeer(w, r, words[0], words[1])
		return
	}
	reply(w, http.StatusOK, Upstreams{list})
}

// upstreams describes the groups of the config that serves.
func (l *loan) upstreams() []sight.Upstream {
	if l.config == nil {
		return []sight.Upstream{}
	}
	return sight.Upstreams(l.config, l.keeper.peers, nowMs())
}

func groupNamed(list []sight.Upstream, name string) []sight.Upstream {
	for i := range list {
		if list[i].Name == name {
			return list[i : i+1]
		}
	}
	return nil
}

// orders of an operator, by the value of state.
var peerOrders = map[string]peers.Admin{"up": peers.Up, "drain": peers.Drain, "down": peers.Down} // read-only

// orderPeer tells all workers what an operator has said of an origin. An address that the group has several times is meant each time.
func (l *loan) orderPeer(w http.ResponseWriter, r *http.Request, group, address string) {
	text := r.URL.Query().Get("state")
	admin, ok := peerOrders[text]
	if !ok {
		refuse(w, http.StatusBadRequest, fmt.Sprintf("state=%s: must be up, drain or down", text))
		return
	}
	before, n := l.peerState(group, address)
	if n == 0 {
		refuse(w, http.StatusNotFound, fmt.Sprintf("upstream %q: no origin %q", group, address))
		return
	}
	z := l.keeper.peers
	deadline := time.Now().Add(lockPatience)
	for nth := range n {
		p, found := z.Find(peers.Name{Group: group, Address: address, Nth: nth})
		if !found {
			continue
		}
		if !tryUntil(deadline, func() bool { return p.TrySetAdmin(admin, nowMs()) }) {
			refuse(w, http.StatusServiceUnavailable, "the lock of what is known of the origins is not to be had: is the worker that has it stopped?")
			return
		}
	}
	after, _ := l.peerState(group, address)
	done := PeerOrdered{OK: true, Upstream: group, Peer: address, State: after.State, Before: before.State, Active: after.Active}
	if n > 1 {
		done.Times = n
	}
	uid, _ := r.Context().Value(peerKey{}).(int)
	l.keeper.log(logfile.LevelNotice, fmt.Sprintf("upstream %q: origin %s is ordered %s", group, address, admin),
		zap.String("state", after.State), zap.String("before", before.State), zap.Int("uid", uid))
	if err := l.keeper.saveOrders(); err != nil {
		done.Warning = "it is forgotten when weir stops: " + err.Error()
		l.keeper.log(logfile.LevelWarn, "what operators have said of origins will not outlast this weir", zap.Error(err))
	}
	reply(w, http.StatusOK, done)
}

// peerState is the state of the first origin with an address, and how many there are.
func (l *loan) peerState(group, address string) (first sight.Peer, n int) {
	for _, u := range groupNamed(l.upstreams(), group) {
		for _, p := range u.Peers {
			if p.Address != address {
				continue
			}
			if n == 0 {
				first = p
			}
			n++
		}
	}
	return first, n
}
