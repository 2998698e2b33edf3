// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package buffer

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// newPool makes a pool that is checked and closed when the test ends.
func newPool(t testing.TB, o Options) *Pool {
	t.Helper()
	p, err := NewPool(o)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.Empty(t, p.Check())
		require.NoError(t, p.Close(), "every block is back")
	})
	return p
}

func TestBlock(t *testing.T) {
	p := newPool(t, Options{BlockSize: 64, Limit: 1})
	b := p.Acquire(ClassRequest)
	defer p.Release(b)

	require.Len(t, b.Data, 64)
	require.Equal(t, 64, cap(b.Data), "a block's slice must not reach into the next block")
	require.Zero(t, b.Len())
	require.Len(t, b.Room(), 64)

	b.Produce(copy(b.Room(), "GET / HTTP/1.1\r\n"))
	require.Equal(t, "GET / HTTP/1.1\r\n", string(b.Bytes()))
	b.Consume(4)
	require.Equal(t, "/ HTTP/1.1\r\n", string(b.Bytes()))
	require.Len(t, b.Room(), 48, "consuming gives no room")
	b.Compact()
	require.Equal(t, "/ HTTP/1.1\r\n", string(b.Bytes()))
	require.Len(t, b.Room(), 52)

	require.Equal(t, 52, b.Append(make([]byte, 100)), "as much as there is room for")
	require.Empty(t, b.Room())
	b.Consume(64)
	b.Compact()
	require.Equal(t, 0, b.R)
	require.Equal(t, 0, b.W)
	b.Produce(10)
	b.Reset()
	require.Zero(t, b.Len())
	require.Len(t, b.Room(), 64)
}

// While a head is read the last maxrewrite bytes of the block stay free.
func TestBlockHeadRoom(t *testing.T) {
	p := newPool(t, Options{BlockSize: 64, Limit: 1})
	b := p.Acquire(ClassRequest)
	defer p.Release(b)

	for _, tt := range []struct{ data, maxRewrite, room int }{
		{0, 0, 64}, {0, 16, 48}, {40, 16, 8}, {48, 16, 0}, {50, 16, 0}, {64, 16, 0}, {64, 0, 0}, {0, 64, 0}, {0, 100, 0},
	} {
		b.Reset()
		b.Produce(tt.data)
		room := b.HeadRoom(tt.maxRewrite)
		require.Len(t, room, tt.room, "%+v", tt)
		require.Equal(t, tt.room, cap(room), "append must not get at what is kept")
	}
}

func TestBlockMisuse(t *testing.T) {
	p := newPool(t, Options{BlockSize: 64, Limit: 1})
	b := p.Acquire(ClassRequest)
	defer p.Release(b)
	b.Produce(10)

	require.PanicsWithValue(t, "buffer: produce of 55 bytes with room for 54", func() { b.Produce(55) })
	require.PanicsWithValue(t, "buffer: produce of -1 bytes with room for 54", func() { b.Produce(-1) })
	require.PanicsWithValue(t, "buffer: consume of 11 bytes with 10 there", func() { b.Consume(11) })
	require.PanicsWithValue(t, "buffer: consume of -1 bytes with 10 there", func() { b.Consume(-1) })
	require.Equal(t, 10, b.Len())
}

// A block against a plain slice.
func TestBlockModel(t *testing.T) {
	p := newPool(t, Options{BlockSize: 100, Limit: 1})
	rapid.Check(t, func(rt *rapid.T) {
		b := p.Acquire(ClassRequest)
		defer p.Release(b)
		var model []byte
		room := 100
		rt.Repeat(map[string]func(*rapid.T){
			"append": func(rt *rapid.T) {
				data := rapid.SliceOfN(rapid.Byte(), 0, 130).Draw(rt, "data")
				n := b.Append(data)
				if n != min(len(data), room) {
					rt.Fatalf("append took %d of %d with room for %d", n, len(data), room)
				}
				model = append(model, data[:n]...)
				room -= n
			},
			"consume": func(rt *rapid.T) {
				n := rapid.IntRange(0, len(model)).Draw(rt, "n")
				b.Consume(n)
				model = model[n:]
			},
			"compact": func(*rapid.T) {
				b.Compact()
				room = 100 - len(model)
			},
			"": func(rt *rapid.T) {
				if string(b.Bytes()) != string(model) || b.Len() != len(model) || len(b.Room()) != room {
					rt.Fatalf("has %q and room for %d, want %q and %d", b.Bytes(), len(b.Room()), model, room)
				}
			},
		})
	})
}
