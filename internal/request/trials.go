// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"crypto/rand"
	"encoding/hex"
	"strconv"

	"weir/internal/upstream"
	"weir/internal/vars"
)

// appendTrials appends a variable about the attempts with origins: one value for each, separated by commas, and by colons
// between those before and after an internal redirect.
func (r *Request) appendTrials(dst []byte, id vars.ID) ([]byte, bool) {
	if len(r.trials) == 0 {
		return dst, false
	}
	for i := range r.trials {
		t := &r.trials[i]
		if i > 0 {
			if t.NewRound {
				dst = append(dst, " : "...)
			} else {
				dst = append(dst, ", "...)
			}
		}
		var ok bool
		if dst, ok = r.appendTrial(dst, id, t); !ok {
			return dst, false
		}
	}
	return dst, true
}

// lastPeer is the origin that was chosen last; nil: none was.
func (r *Request) lastPeer() *upstream.Peer {
	for i := len(r.trials) - 1; i >= 0; i-- {
		if peer := r.trials[i].Peer; peer != nil {
			return peer
		}
	}
	return nil
}

func (r *Request) appendTrial(dst []byte, id vars.ID, t *upstream.Trial) ([]byte, bool) {
	switch id {
	case vars.UpstreamAddr:
		return append(dst, t.Name()...), true
	case vars.UpstreamStatus:
		if t.Status == 0 {
			return append(dst, '-'), true
		}
		return appendStatus(dst, t.Status), true
	case vars.UpstreamQueueTime:
		return appendTrialTime(dst, t.QueueMs), true
	case vars.UpstreamConnectTime:
		return appendTrialTime(dst, t.ConnectMs), true
	case vars.UpstreamHeaderTime:
		return appendTrialTime(dst, t.HeaderMs), true
	case vars.UpstreamResponseTime:
		return appendTrialTime(dst, t.ResponseMs), true
	case vars.UpstreamResponseLength:
		return strconv.AppendInt(dst, t.Length, 10), true
	case vars.UpstreamBytesReceived:
		return strconv.AppendInt(dst, t.BytesReceived, 10), true
	case vars.UpstreamBytesSent:
		return strconv.AppendInt(dst, t.BytesSent, 10), true
	}
	return dst, false
}

func appendTrialTime(dst []byte, ms int64) []byte {
	if ms < 0 {
		return append(dst, '-')
	}
	return appendSeconds(dst, ms)
}

// requestID is $request_id: made when it is first asked for, the same for the whole request.
type requestID struct {
	text [32]byte
	made bool
}

func (id *requestID) reset() { id.made = false }

func (id *requestID) append(dst []byte) []byte {
	if !id.made {
		var random [16]byte
		rand.Read(random[:])
		hex.Encode(id.text[:], random[:])
		id.made = true
	}
	return append(dst, id.text[:]...)
}
