// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"encoding/binary"
	"math/rand/v2"

	"weir/internal/http1"
)

// frames follows one direction of a WebSocket, to know where a frame of weir's own may stand: between two frames, in the middle of a
// message too (RFC 6455 section 5.4). It costs some instructions for each frame and read, and none for a payload's bytes. It checks
// nothing: what is no WebSocket has no borders, and no frame is put into it.
type frames struct {
	left   uint64 // of the payload of the present frame
	head   [14]byte
	n      int  // bytes of head
	closed bool // a close frame has passed: nothing may follow it
	ending bool // no frame is let through any more that has not begun
}

const (
	opClose  = 8
	maskBit  = 0x80
	goneAway = 1001 // RFC 6455 section 7.4.1: an endpoint is "going away"
)

// between says whether the last frame has ended.
func (f *frames) between() bool { return f.left == 0 && f.n == 0 }

// Pass follows b, and when ending, cuts it at the first border. See eventpipe.Watcher.
func (f *frames) Pass(b []byte) int {
	at := 0
	for at < len(b) {
		if f.ending && f.between() {
			return at
		}
		if f.left > 0 {
			n := min(f.left, uint64(len(b)-at))
			f.left -= n
			at += int(n)
			continue
		}
		f.head[f.n] = b[at]
		f.n++
		at++
		if f.n == f.headBytes() {
			f.begin()
		}
	}
	return at
}

// headBytes is the length of the head, as far as its first bytes say.
func (f *frames) headBytes() int {
	if f.n < 2 {
		return 2
	}
	size := 2
	switch f.head[1] &^ maskBit {
	case 126:
		size += 2
	case 127:
		size += 8
	}
	if f.head[1]&maskBit != 0 {
		size += 4
	}
	return size
}

// begin takes a complete head.
func (f *frames) begin() {
	switch length := f.head[1] &^ maskBit; length {
	case 126:
		f.left = uint64(binary.BigEndian.Uint16(f.head[2:]))
	case 127:
		f.left = binary.BigEndian.Uint64(f.head[2:])
	default:
		f.left = uint64(length)
	}
	f.closed = f.closed || f.head[0]&0xf == opClose
	f.n = 0
}

// appendClose makes a close frame that says "going away"; what goes to a server is masked (RFC 6455 section 5.3).
func appendClose(dst []byte, masked bool) []byte {
	payload := binary.BigEndian.AppendUint16(nil, goneAway)
	if !masked {
		return append(append(dst, maskBit|opClose, byte(len(payload))), payload...)
	}
	mask := binary.BigEndian.AppendUint32(nil, rand.Uint32())
	dst = append(append(dst, maskBit|opClose, maskBit|byte(len(payload))), mask...)
	for i, c := range payload {
		dst = append(dst, c^mask[i%4])
	}
	return dst
}

// isWebSocketNow says whether the origin has agreed to a WebSocket.
func (r *Request) isWebSocketNow() bool {
	h := &r.up.head
	for i := range h.Fields {
		if f := &h.Fields[i]; f.ID == http1.FieldUpgrade {
			return equalLower(f.Value.Of(r.up.text), "websocket")
		}
	}
	return false
}
