// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"weir/internal/http1"
	"weir/internal/lookup"
)

// Browsers are those whose connections are not kept (keepalive_disable), in bits.
type Browsers uint8

// Browsers of keepalive_disable.
const (
	OldMSIE Browsers = 1 << iota // msie6: not after a POST
	MacSafari
)

// decideKeepAlive decides whether the client's connection goes on after this response.
func (r *Request) decideKeepAlive() {
	c, loc := r.client, r.loc
	if r.closeClient || !r.head.KeepAlive || r.engine.lastAnswer(c) || loc.KeepaliveTimeoutMs == 0 ||
		c.Requests >= loc.KeepaliveRequests || r.nowMs()-c.OpenedMs >= loc.KeepaliveTimeMs || r.bodyUnread() && !r.mayDiscard() ||
		r.bodyOpen && r.body.LostExtra() || loc.KeepaliveDisable != 0 && r.distrusts(loc.KeepaliveDisable) {
		r.closeClient = true
	}
}

// distrusts says whether the client is one of these browsers.
func (r *Request) distrusts(which Browsers) bool {
	return which&OldMSIE != 0 && r.head.MethodID == http1.MethodPost && lookup.IsMSIE6(r.agent()) || which&MacSafari != 0 && lookup.IsMacSafari(r.agent())
}
