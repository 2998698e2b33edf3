// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package upstream

// Trial is what became of one attempt to have a request answered by an origin. Times are in milliseconds from the
// start of the attempt; -1 if the attempt did not get that far.
type Trial struct {
	Peer          *Peer  // nil: no peer was available
	Group         string // its name; only when there is no Peer
	Status        int    // of the origin's answer, or 502, 504 for the lack of one; 0: none yet
	StartMs       int64  // the loop's time
	QueueMs       int64  // in the group's queue, before the start; 0: it did not wait
	ConnectMs     int64  // connected
	HeaderMs      int64  // head read
	ResponseMs    int64  // over
	BytesSent     int64
	BytesReceived int64
	Length        int64 // bytes of the body
	// NewRound says that this attempt follows an internal redirect: variables put a colon before it, not a comma.
	NewRound bool
}

// Name is the address that $upstream_addr shows.
func (t *Trial) Name() string {
	if t.Peer == nil {
		return t.Group
	}
	return t.Peer.Name
}
