// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package filter

import (
	"bytes"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"weir/internal/offload"
)

// loop is a Waker whose turns a test makes.
type loop chan struct{}

func (l loop) Wake() {
	select {
	case l <- struct{}{}:
	default:
	}
}

type client struct{ told int }

func (c *client) OnEncoded() { c.told++ }

// bench is a pool with its thread and loop.
type bench struct {
	*Pool
	queue offload.Queue
	loop  loop
}

func newBench(t *testing.T, limit int) *bench {
	b := &bench{loop: make(loop, 1)}
	b.queue.Bind(b.loop)
	thread := b.queue.NewThread()
	t.Cleanup(thread.End)
	b.Pool = NewPool(Limits{Gzip: limit, Gunzip: limit}, thread)
	return b
}

// turn waits until c has been told.
func (b *bench) turn(c *client) {
	for before := c.told; c.told == before; {
		<-b.loop
		b.queue.Drain()
	}
}

// text is what compresses about as pages do.
func text(n int, r *rand.Rand) []byte {
	words := []string{"<p>", "weir ", "the ", "of ", "water ", "stands ", "1234 ", "</p>\n"}
	var b []byte
	for len(b) < n {
		b = append(b, words[r.IntN(len(words))]...)
	}
	return b[:n]
}

func pack(b []byte) []byte {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(b)
	_ = z.Close()
	return packed.Bytes()
}

// driver has an encoder change a body whose pieces a test draws.
type driver struct {
	b     *bench
	piece func(left int) int // how many bytes come next, 0 to left
	flush func() bool
}

// run is what becomes of body, in the order in which a pipe asks for it.
func (d *driver) run(t require.TestingT, body []byte, add func(e *Encoder)) ([]byte, error) {
	c := &client{}
	e := d.b.Acquire(c)
	defer e.Release()
	add(e)
	var out []byte
	for rest, end := body, false; !end || e.Has() > 0; {
		n := copy(e.Room(), rest[:d.piece(len(rest))])
		e.Added(n)
		rest = rest[n:]
		end = len(rest) == 0
		if !e.Run(!end && d.flush(), end) {
			d.b.turn(c)
		}
		require.Less(t, len(e.Output().Bytes()), Bytes)
		out = append(out, e.Output().Bytes()...)
		if err := e.Err(); err != nil {
			return out, err
		}
	}
	return out, nil
}

// drawn is a driver whose pieces rapid draws.
func drawn(b *bench, rt *rapid.T) *driver {
	return &driver{b: b,
		piece: func(left int) int {
			return min(left, rapid.SampledFrom([]int{0, 1, 2, 3, 5, 17, 1000, 40 << 10}).Draw(rt, "piece"))
		},
		flush: func() bool { return rapid.Bool().Draw(rt, "flush") },
	}
}

// replaceAll is the plain model of sub_filter: at each place the first text that fits.
func replaceAll(body string, texts, with []string, once bool) string {
	var out strings.Builder
	seen := make([]bool, len(texts))
next:
	for i := 0; i < len(body); {
		for k, t := range texts {
			if !seen[k] && len(body)-i >= len(t) && strings.EqualFold(body[i:i+len(t)], t) {
				out.WriteString(with[k])
				seen[k] = once
				i += len(t)
				continue next
			}
		}
		out.WriteByte(body[i])
		i++
	}
	return out.String()
}

// Whatever the texts and the pieces are, what is found is what a plain search finds in the whole.
func TestSubModel(t *testing.T) {
	b := newBench(t, 1)
	word := rapid.StringOfN(rapid.SampledFrom([]rune("abAB<")), 1, 5, -1)
	rapid.Check(t, func(rt *rapid.T) {
		texts := rapid.SliceOfN(word, 1, 4).Draw(rt, "texts")
		with := rapid.SliceOfN(rapid.StringOfN(rapid.SampledFrom([]rune("xyab")), 0, 4, -1), len(texts), len(texts)).Draw(rt, "with")
		body := strings.Repeat(rapid.StringOfN(rapid.SampledFrom([]rune("abAB<c")), 0, 60, -1).Draw(rt, "body"), rapid.SampledFrom([]int{1, 1, 2, 1500}).Draw(rt, "times"))
		once := rapid.Bool().Draw(rt, "once")
		got, err := drawn(b, rt).run(rt, []byte(body), func(e *Encoder) { e.Sub(replacingOf(texts, with, once)) })
		require.NoError(rt, err)
		require.Equal(rt, replaceAll(body, texts, with, once), string(got))
	})
	require.Zero(t, b.InUse())
}

func replacingOf(texts, with []string, once bool) Replacing {
	var all, other [][]byte
	for i := range texts {
		all, other = append(all, []byte(texts[i])), append(other, []byte(with[i]))
	}
	return Replacing{Patterns: NewPatterns(all), With: other, Once: once}
}

// What cannot be the beginning of a text is not held back; what can be comes at the end.
func TestSubHoldsLittle(t *testing.T) {
	b := newBench(t, 1)
	c := &client{}
	e := b.Acquire(c)
	defer e.Release()
	e.Sub(replacingOf([]string{"</body>"}, []string{"!"}, true))
	for _, step := range []struct{ in, out string }{{"text", "text"}, {"a</bo", "a"}, {"Dy", ""}, {">b", "!b"}, {"</body", "</body"}} {
		e.Added(copy(e.Room(), step.in))
		require.True(t, e.Run(true, false))
		require.Equal(t, step.out, string(e.Output().Bytes()))
	}
	require.True(t, e.Run(false, true))
}

// A replacement that is much longer than what it replaces comes in pieces.
func TestSubGrows(t *testing.T) {
	d := &driver{b: newBench(t, 1), piece: func(left int) int { return min(left, roomBytes) }, flush: func() bool { return false }}
	body := bytes.Repeat([]byte("x"), 20000)
	got, err := d.run(t, body, func(e *Encoder) { e.Sub(replacingOf([]string{"X"}, []string{strings.Repeat("y", 500)}, false)) })
	require.NoError(t, err)
	require.Equal(t, 500*len(body), len(got))
}

// toUTF8 makes two or three bytes of every byte that is not ASCII.
func toUTF8() *Recoding {
	r := &Recoding{}
	for i := range r.Bytes {
		r.Bytes[i] = string(rune(i))
		if i >= 0xc0 {
			r.Bytes[i] = string(rune(0x400 + i))
		} else if i >= 0x80 {
			r.Bytes[i] = string(rune(0x2000 + i))
		}
	}
	return r
}

func fromUTF8() *Recoding {
	r := &Recoding{FromUTF8: true, Runes: map[rune]byte{}}
	for i, text := range toUTF8().Bytes {
		r.Runes[[]rune(text)[0]] = byte(i)
	}
	return r
}

// What is recoded to UTF-8 and back is what it was, whatever the pieces are; in several stages too.
func TestRecodeModel(t *testing.T) {
	b := newBench(t, 1)
	to, from := toUTF8(), fromUTF8()
	rapid.Check(t, func(rt *rapid.T) {
		body := bytes.Repeat(rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(rt, "body"), rapid.SampledFrom([]int{1, 1, 900}).Draw(rt, "times"))
		var want strings.Builder
		for _, c := range body {
			want.WriteString(to.Bytes[c])
		}
		got, err := drawn(b, rt).run(rt, body, func(e *Encoder) { e.Recode(to) })
		require.NoError(rt, err)
		require.Equal(rt, want.String(), string(got))
		got, err = drawn(b, rt).run(rt, got, func(e *Encoder) { e.Recode(from) })
		require.NoError(rt, err)
		require.True(rt, bytes.Equal(body, got))
	})
}

func TestRecodeOddities(t *testing.T) {
	d := &driver{b: newBench(t, 1), piece: func(left int) int { return min(left, 1) }, flush: func() bool { return false }}
	from := fromUTF8()
	for in, want := range map[string]string{
		"a\u4e16b": "a&#19990;b", "\U0001F600": "&#128512;", "a\xffb": "a?b", "a\xd0": "a", "\u0410": "\xd0"[:0] + "&#1040;", "\u04d0": "\xd0",
	} {
		got, err := d.run(t, []byte(in), func(e *Encoder) { e.Recode(from) })
		require.NoError(t, err)
		require.Equal(t, want, string(got), "%q", in)
	}
}

// What gzip has packed, in one member or several, comes out as it was; what was cut off, or is no gzip, is an error.
func TestGunzipModel(t *testing.T) {
	b := newBench(t, 1)
	rapid.Check(t, func(rt *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		var want, packed []byte
		for range rapid.IntRange(1, 3).Draw(rt, "members") {
			part := text(r.IntN(60<<10), r)
			if rapid.Bool().Draw(rt, "zeros") {
				part = make([]byte, r.IntN(600<<10))
			}
			want, packed = append(want, part...), append(packed, pack(part)...)
		}
		got, err := drawn(b, rt).run(rt, packed, func(e *Encoder) { require.True(rt, e.Gunzip()) })
		require.NoError(rt, err)
		require.True(rt, bytes.Equal(want, got))

		cut := rapid.IntRange(1, 20).Draw(rt, "cut")
		_, err = drawn(b, rt).run(rt, packed[:len(packed)-min(cut, 17)], func(e *Encoder) { require.True(rt, e.Gunzip()) })
		require.Error(rt, err)
	})
	for _, bad := range []string{"no gzip at all", string(pack([]byte("a"))) + "garbage"} {
		d := &driver{b: b, piece: func(left int) int { return left }, flush: func() bool { return false }}
		_, err := d.run(t, []byte(bad), func(e *Encoder) { require.True(t, e.Gunzip()) })
		require.Error(t, err, "%q", bad)
	}
	require.Zero(t, b.InUse())
}

// One that is released in the middle of a body is as good as new for the next.
func TestGunzipReleased(t *testing.T) {
	b := newBench(t, 1)
	large := pack(make([]byte, 1<<20))
	for range 3 {
		c := &client{}
		e := b.Acquire(c)
		require.True(t, e.Gunzip())
		other := b.Acquire(c)
		require.False(t, other.Gunzip(), "there is one only")
		other.Release()
		e.Added(copy(e.Room(), large))
		require.False(t, e.Run(true, false))
		b.turn(c)
		require.NotEmpty(t, e.Output().Bytes())
		e.Release()
		d := &driver{b: b, piece: func(left int) int { return left }, flush: func() bool { return false }}
		got, err := d.run(t, pack([]byte("next")), func(e *Encoder) { require.True(t, e.Gunzip()) })
		require.NoError(t, err)
		require.Equal(t, "next", string(got))
	}
}

// All stages one behind the other are what they are one after the other.
func TestChain(t *testing.T) {
	b := newBench(t, 1)
	to := toUTF8()
	rapid.Check(t, func(rt *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		body := text(r.IntN(200<<10), r)
		for range len(body) / 50 {
			body[r.IntN(len(body))] = 0xc1
		}
		texts, with := []string{"WATER", "\xc1"}, []string{strings.Repeat("wine\xc2", 20), ""}
		var want strings.Builder
		for _, c := range []byte(replaceAll(string(body), texts, with, false)) {
			want.WriteString(to.Bytes[c])
		}
		got, err := drawn(b, rt).run(rt, pack(body), func(e *Encoder) {
			require.True(rt, e.Gunzip())
			e.Sub(replacingOf(texts, with, false))
			e.Recode(to)
			require.True(rt, e.Gzip(1))
		})
		require.NoError(rt, err)
		z, err := gzip.NewReader(bytes.NewReader(got))
		require.NoError(rt, err)
		plain, err := io.ReadAll(z)
		require.NoError(rt, err)
		require.True(rt, want.String() == string(plain))
	})
	require.Zero(t, b.InUse())
}
