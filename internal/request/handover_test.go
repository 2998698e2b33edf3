// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"encoding/binary"
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"weir/internal/conn"
	"weir/internal/limitconn"
	"weir/internal/shm"
	"weir/internal/shmtx"
	"weir/internal/sys"
	"weir/internal/vars"
)

// fakeGiver is another process in the place of the hand-over queue.
type fakeGiver struct {
	t       *testing.T
	err     error
	refuses bool
	given   []Adopted
	fds     []int
	replies []int
}

func (g *fakeGiver) Takes(*conn.Listener) bool { return !g.refuses }

func (g *fakeGiver) Give(c *conn.Conn, places []limitconn.Hold, reply int) error {
	if g.err != nil {
		return g.err
	}
	fd, err := syscall.Dup(c.FD())
	require.NoError(g.t, err)
	g.fds = append(g.fds, fd)
	g.given = append(g.given, Adopted{Peer: c.Peer, Serial: c.Serial, Requests: c.Requests, IdleMs: 10_000})
	if len(places) > 0 {
		copied, err := syscall.Dup(reply)
		require.NoError(g.t, err)
		g.replies = append(g.replies, copied)
	}
	return nil
}

const simpleGet = "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"

// serveOne has an engine answer one request of a client, and returns the answer.
func (h *harness) serveOne(client, origin int) (answer string, at int) {
	h.t.Helper()
	if origin < 0 {
		origin = h.accept()
	}
	var buf [4096]byte
	h.read(origin, buf[:])
	_, errno := sys.Write(origin, []byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
	require.Zero(h.t, errno)
	return string(buf[:h.read(client, buf[:])]), origin
}

func write(t *testing.T, fd int, text string) {
	t.Helper()
	_, errno := sys.Write(fd, []byte(text))
	require.Zero(t, errno)
}

// TestHandOverBetweenEngines gives connections from one engine to another: an idle one at once, one with a request when it has been answered, and one whose
// request has arrived but has not been read goes with its bytes.
func TestHandOverBetweenEngines(t *testing.T) {
	old, next := newHarness(t, harnessOptions{}), newHarness(t, harnessOptions{})
	idle, busy, unread := old.pairClient(), old.pairClient(), old.pairClient()
	write(t, busy, simpleGet)
	origin := old.accept()
	write(t, unread, simpleGet) // not seen by old: it has made no turn since

	g, empty := &fakeGiver{t: t}, false
	old.engine.StartDrain(g, 0, func() { empty = true })
	require.Len(t, g.given, 2, "what waits goes at once")
	require.False(t, empty)
	answer, _ := old.serveOne(busy, origin)
	require.True(t, strings.HasPrefix(answer, "HTTP/1.1 200"), answer)
	require.NotContains(t, answer, "Connection: close")
	require.Len(t, g.given, 3, "and the other after its answer")
	require.True(t, empty)
	require.Zero(t, old.stats.Active.Load()+old.stats.Waiting.Load())
	require.Equal(t, uint32(1), g.given[2].Requests)
	old.settled()

	for i, a := range g.given {
		require.True(t, next.engine.Adopt(next.listener, g.fds[i], a))
	}
	answer, origin = next.serveOne(unread, -1)
	require.True(t, strings.HasPrefix(answer, "HTTP/1.1 200"), answer)
	for _, fd := range []int{idle, busy} {
		write(t, fd, simpleGet)
		answer, _ = next.serveOne(fd, origin)
		require.True(t, strings.HasPrefix(answer, "HTTP/1.1 200"), answer)
	}
	require.Equal(t, uint64(3), next.stats.Active.Load())
	old.loop.TakeStale()
	write(t, idle, simpleGet)
	next.serveOne(idle, origin)
	old.poll()
	require.Zero(t, old.loop.TakeStale(), "the old loop hears nothing of a socket that it has handed over")
	next.settled()
	for _, fd := range []int{idle, busy, unread} {
		sys.Close(fd)
	}
}

// TestHandOverStalls: a full queue keeps connections where they are, and they are served there; one that is broken ends it for good.
func TestHandOverStalls(t *testing.T) {
	h := newHarness(t, harnessOptions{})
	a, b := h.pairClient(), h.pairClient()
	g := &fakeGiver{t: t, err: ErrStalled}
	h.engine.StartDrain(g, 0, func() {})
	require.Equal(t, 2, h.table.Waiting.Len())
	write(t, a, simpleGet)
	answer, _ := h.serveOne(a, -1)
	require.NotContains(t, answer, "Connection: close")
	require.Positive(t, h.engine.drain.announceMs)
	h.engine.drain.announceMs = 1 // a second later
	write(t, b, simpleGet)
	answer, _ = h.serveOne(b, -1)
	require.Contains(t, answer, "Connection: close")
	sys.Close(b)
	b = h.pairClient()
	g.err = nil
	h.engine.HandOverWaiting()
	require.Len(t, g.given, 2)
	require.Zero(t, h.table.Waiting.Len())

	c := h.pairClient()
	require.Len(t, g.given, 3, "one accepted meanwhile goes too")
	g.err = errors.New("broken")
	d := h.pairClient()
	write(t, d, simpleGet)
	answer, _ = h.serveOne(d, -1)
	require.Contains(t, answer, "Connection: close")
	for _, fd := range []int{a, b, c, d} {
		sys.Close(fd)
	}
	h.poll()
	h.settled()
}

// TestDrainWithoutTaker: an address that nobody will have is answered once more.
func TestDrainWithoutTaker(t *testing.T) {
	h := newHarness(t, harnessOptions{})
	a := h.pairClient()
	g, empty := &fakeGiver{t: t, refuses: true}, false
	h.engine.StartDrain(g, 0, func() { empty = true })
	require.Empty(t, g.given)
	write(t, a, simpleGet)
	answer, _ := h.serveOne(a, -1)
	require.Contains(t, answer, "Connection: close")
	sys.Close(a)
	for range 10 {
		h.poll()
	}
	require.True(t, empty)
	h.settled()
}

// limited gives the harness's listening address a limit.
func limited(t *testing.T, h *harness, z *limitconn.Zone) {
	key, err := vars.Compile("$remote_addr")
	require.NoError(t, err)
	h.bind.Limits = &Limits{List: []Limit{{Zone: &Zone{Zone: z}, Key: key, Max: 10}}}
}

func limitZone(t *testing.T, fd, slot int) *limitconn.Zone {
	t.Helper()
	owner, err := shmtx.NewOwner()
	require.NoError(t, err)
	if fd < 0 {
		z, err := limitconn.Create(limitconn.Options{Name: "k", Key: "$remote_addr", SizeBytes: shm.MinBytes}, owner)
		require.NoError(t, err)
		return z
	}
	copied, err := syscall.Dup(fd)
	require.NoError(t, err)
	z, err := limitconn.Attach(copied, owner, slot)
	require.NoError(t, err)
	return z
}

// TestHandOverOfPlaces: a connection with a place stays here until the other side has answered; the count is the same all the time. When it dies without an
// answer the connection goes on here.
func TestHandOverOfPlaces(t *testing.T) {
	old, next := newHarness(t, harnessOptions{}), newHarness(t, harnessOptions{})
	master := limitZone(t, -1, 0)
	here, there := limitZone(t, master.FD(), 0), limitZone(t, master.FD(), 1)
	limited(t, old, here)
	limited(t, next, there)
	count := func() int {
		n, err := master.Count([]byte("192.0.2.1"))
		require.NoError(t, err)
		return n
	}
	a, b := old.pairClient(), old.pairClient()
	require.Equal(t, 2, count())
	g, empty := &fakeGiver{t: t}, false
	var places []limitconn.Place
	for c := old.table.Waiting.First(); c != nil; c = c.Next() {
		places = append(places, c.Attached.(*connHolds).holds[0].Place())
	}
	old.engine.StartDrain(g, 0, func() { empty = true })
	require.Len(t, g.given, 2)
	require.Equal(t, "hand-over", old.engine.Holders()[0].What)
	require.Equal(t, 2, old.engine.Holders()[0].Count)
	require.Equal(t, 2, count())

	hold, v := there.Move(places[0], 0, func() bool { return true })
	require.Equal(t, limitconn.Passed, v)
	g.given[0].Holds = []limitconn.Hold{hold}
	write(t, g.replies[0], string(binary.LittleEndian.AppendUint64(nil, 1)))
	sys.Close(g.replies[0])
	require.True(t, next.engine.Adopt(next.listener, g.fds[0], g.given[0]))
	old.turn()
	require.Equal(t, 2, count())
	require.False(t, empty)

	sys.Close(g.fds[1]) // the taker dies
	sys.Close(g.replies[1])
	g.refuses = true
	old.turn()
	require.Equal(t, 1, old.table.Waiting.Len())
	require.Equal(t, 2, count())
	write(t, b, simpleGet)
	answer, _ := old.serveOne(b, -1)
	require.Contains(t, answer, "Connection: close")
	sys.Close(b)
	for range 10 {
		old.poll()
	}
	require.True(t, empty)
	require.Equal(t, 1, count())
	write(t, a, simpleGet)
	answer, _ = next.serveOne(a, -1)
	require.True(t, strings.HasPrefix(answer, "HTTP/1.1 200"), answer)
	sys.Close(a)
	for range 10 {
		next.poll()
	}
	require.Zero(t, count())
	require.Empty(t, master.Check())
	for _, z := range []*limitconn.Zone{here, there, master} {
		require.NoError(t, z.Close())
	}
}

// passOfHandOver has a drain, and what is on its way, be older by so much.
func (h *harness) passOfHandOver(ms int64) {
	h.engine.drain.startMs -= ms
	for i := range h.table.Size() {
		if c := h.table.At(i); c != nil {
			if w, ok := c.Owner().(*handing); ok && c == w.client {
				w.sentMs -= ms
			}
		}
	}
}

// TestHandOverNobodyAnswers: after a while, or when the drain's time is up, a connection goes on here; who takes it out of the queue later can tell.
func TestHandOverNobodyAnswers(t *testing.T) {
	for name, limitMs := range map[string]int64{"no timeout": 0, "a timeout": 5000} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, harnessOptions{})
			master := limitZone(t, -1, 0)
			here := limitZone(t, master.FD(), 0)
			limited(t, h, here)
			a := h.pairClient()
			g, empty := &fakeGiver{t: t}, false
			h.engine.StartDrain(g, limitMs, func() { empty = true })
			require.Len(t, g.replies, 1)
			h.engine.CloseLate()
			require.Equal(t, 1, h.engine.drain.handing, "it has time yet")
			require.False(t, Withdrawn(g.replies[0]))
			if limitMs == 0 {
				h.passOfHandOver(answerMs)
			} else {
				h.passOfHandOver(limitMs)
			}
			h.engine.CloseLate()
			require.Zero(t, h.engine.drain.handing)
			require.True(t, Withdrawn(g.replies[0]))
			_, errno := sys.Write(g.replies[0], make([]byte, 8))
			require.NotZero(t, errno, "who takes it now cannot say so")
			if limitMs == 0 {
				write(t, a, simpleGet)
				answer, _ := h.serveOne(a, -1)
				require.True(t, strings.HasPrefix(answer, "HTTP/1.1 200"), answer)
			} else {
				h.engine.CloseLate()
				require.True(t, empty)
			}
			sys.Close(a)
			sys.Close(g.replies[0])
			for _, fd := range g.fds {
				sys.Close(fd)
			}
			for range 10 {
				h.poll()
			}
			for _, z := range []*limitconn.Zone{here, master} {
				require.NoError(t, z.Close())
			}
		})
	}
}

// TestHandOverAnsweredAtTheEnd: an answer that is there already counts, though the time is up.
func TestHandOverAnsweredAtTheEnd(t *testing.T) {
	h := newHarness(t, harnessOptions{})
	master := limitZone(t, -1, 0)
	here := limitZone(t, master.FD(), 0)
	limited(t, h, here)
	a := h.pairClient()
	g, empty := &fakeGiver{t: t}, false
	h.engine.StartDrain(g, 0, func() { empty = true })
	write(t, g.replies[0], string(make([]byte, 8)))
	h.passOfHandOver(answerMs)
	h.engine.CloseLate()
	require.True(t, empty)
	require.Zero(t, h.table.Waiting.Len())
	for _, fd := range []int{a, g.replies[0], g.fds[0]} {
		sys.Close(fd)
	}
	h.poll()
	for _, z := range []*limitconn.Zone{here, master} {
		require.NoError(t, z.Close())
	}
}

// TestHandOverBreaks: when the queue is found broken, the connections that wait already get the time of those that nobody takes, and no more.
func TestHandOverBreaks(t *testing.T) {
	h := newHarness(t, harnessOptions{})
	a, b := h.pairClient(), h.pairClient()
	g := &fakeGiver{t: t, err: ErrStalled}
	h.engine.StartDrain(g, 0, func() {})
	g.err = errors.New("broken")
	h.engine.HandOverWaiting()
	require.Equal(t, 2, h.table.Waiting.Len())
	for c := h.table.Waiting.First(); c != nil; c = c.Next() {
		require.LessOrEqual(t, c.DeadlineMs(), h.clock.Ms()+farewellMs)
	}
	for _, fd := range []int{a, b} {
		sys.Close(fd)
	}
	h.poll()
}

// TestAdoptCompletesPlaces: a limit that is new counts a connection that comes from before, even beyond the limit; a place that was lost has to be had anew, or the
// connection ends.
func TestAdoptCompletesPlaces(t *testing.T) {
	h := newHarness(t, harnessOptions{})
	master := limitZone(t, -1, 0)
	z := limitZone(t, master.FD(), 0)
	limited(t, h, z)
	adopt := func(a Adopted) bool {
		fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK, 0)
		require.NoError(t, err)
		t.Cleanup(func() { sys.Close(fds[1]) })
		a.IdleMs = 10_000
		return h.engine.Adopt(h.listener, fds[0], a)
	}
	for range 12 {
		require.True(t, adopt(Adopted{}))
	}
	n, err := master.Count([]byte("unix:"))
	require.NoError(t, err)
	require.Equal(t, 12, n)
	require.False(t, adopt(Adopted{Lost: []*limitconn.Zone{z}}))
	for h.table.Waiting.Len() > 8 {
		h.engine.closeWaiting(h.table.Waiting.First())
	}
	require.True(t, adopt(Adopted{Lost: []*limitconn.Zone{z}}))
	n, err = master.Count([]byte("unix:"))
	require.NoError(t, err)
	require.Equal(t, 9, n)
	require.Empty(t, master.Check())
	require.NoError(t, z.Close())
	require.NoError(t, master.Close())
}
