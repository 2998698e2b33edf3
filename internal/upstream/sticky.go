// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package upstream

import (
	"crypto/md5"
	"encoding/hex"
	"strings"

	"weir/internal/vars"
)

// Sticky binds requests to peers by an id of the peer that the client brings: see nginx's directive of that name.
type Sticky struct {
	Cookie string           // name of the cookie that has it; "": Routes
	Routes []*vars.Template // the first that is not empty has it

	// What goes along with the cookie.
	ExpiresSec       int64          // for how long; 0: the browser's session; CookieMax: for ever
	Domain, SameSite *vars.Template // nil: none
	Path             string         // "": none
	HTTPOnly, Secure bool
}

// CookieMax is Sticky.ExpiresSec for a cookie that never expires.
const CookieMax = -1

// ID is what stands for the peer in cookies and routes: its parameter route, or the MD5 of its address and port, or of the path of its socket.
func (p *Peer) ID() string { return p.id }

func idOf(o *PeerOptions) string {
	if o.Route != "" {
		return o.Route
	}
	sum := md5.Sum([]byte(strings.TrimPrefix(o.Name, "unix:")))
	return hex.EncodeToString(sum[:])
}

// Bind has Pick try the peer with an id before all others, if there is one, also when it drains.
func (t *Tried) Bind(g *Group, id []byte) { t.bound = g.byID[string(id)] }

// keeps says whether the peer that the request is bound to can have it.
func (p *Peer) keeps(nowMs int64, tried *Tried) bool {
	return p.servesBound() && !tried.has(p.index) && (p.group.Single() || !p.Shared.Failing(nowMs, p.MaxFails, p.FailTimeoutMs) && p.Shared.Try(nowMs, p.MaxFails, p.FailTimeoutMs))
}
