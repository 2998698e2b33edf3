// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// frameText makes a frame with a payload of n bytes.
func frameText(opcode byte, masked bool, n int) []byte {
	b := []byte{0x80 | opcode, 0}
	switch {
	case n < 126:
		b[1] = byte(n)
	case n < 1<<16:
		b[1] = 126
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	default:
		b[1] = 127
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	if masked {
		b[1] |= maskBit
		b = append(b, 1, 2, 3, 4)
	}
	return append(b, make([]byte, n)...)
}

// TestFramesEndAtABorder cuts a stream of frames into reads, and ends it after some of them: what passes ends where a frame does, the first one that ends
// after that moment.
func TestFramesEndAtABorder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var text []byte
		borders := []int{0}
		for range rapid.IntRange(0, 12).Draw(t, "frames") {
			n := rapid.SampledFrom([]int{0, 1, 7, 125, 126, 127, 300, 65535, 65536, 70000}).Draw(t, "payload")
			text = append(text, frameText(rapid.SampledFrom([]byte{0, 1, 2, 9}).Draw(t, "opcode"), rapid.Bool().Draw(t, "masked"), n)...)
			borders = append(borders, len(text))
		}
		endAt := rapid.IntRange(0, len(text)).Draw(t, "end at")
		want := len(text)
		for _, b := range borders {
			if b >= endAt {
				want = b
				break
			}
		}
		var f frames
		passed := 0
		for passed < len(text) {
			most := len(text) - passed
			if passed < endAt {
				most = endAt - passed
			} else {
				f.ending = true
			}
			n := rapid.IntRange(1, most).Draw(t, "read")
			got := f.Pass(text[passed : passed+n])
			passed += got
			if got < n {
				break
			}
		}
		if endAt == len(text) {
			want = len(text)
		}
		require.Equal(t, want, passed)
		require.True(t, f.between())
		require.False(t, f.closed)
	})
}

func TestFramesSeeAClose(t *testing.T) {
	for _, masked := range []bool{false, true} {
		frame := appendClose(nil, masked)
		var f frames
		require.Equal(t, len(frame), f.Pass(frame))
		require.True(t, f.closed && f.between())
		if !masked {
			require.Equal(t, []byte{0x88, 2, 0x03, 0xe9}, frame)
			continue
		}
		require.Equal(t, []byte{0x88, 0x82}, frame[:2])
		require.Equal(t, []byte{0x03, 0xe9}, []byte{frame[6] ^ frame[2], frame[7] ^ frame[3]})
	}
}

// FuzzFrames: whatever the bytes are, and however they come, the same of them passes.
func FuzzFrames(f *testing.F) {
	f.Add(frameText(1, true, 200), 3, 5)
	f.Add([]byte{0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4, 5}, 1, 2)
	f.Add(append(frameText(8, false, 2), "behind it"...), 2, 1)
	f.Fuzz(func(t *testing.T, text []byte, endAt, cut int) {
		endAt = max(0, min(endAt, len(text)))
		pass := func(piece int) (n int, state frames) {
			var f frames
			for at := 0; at < len(text); {
				f.ending = at >= endAt
				to := min(at+piece, len(text))
				if at < endAt {
					to = min(to, endAt)
				}
				got := f.Pass(text[at:to])
				if at += got; at < to {
					return at, f
				}
			}
			return len(text), f
		}
		n, whole := pass(len(text) + 1)
		m, pieces := pass(max(1, min(cut, 64)))
		if n != m || whole.left != pieces.left || whole.n != pieces.n || whole.closed != pieces.closed {
			t.Fatalf("%d bytes pass and %d, %+v, %+v", n, m, whole, pieces)
		}
	})
}
