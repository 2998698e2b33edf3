// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package torture

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// world is one run.
type world struct {
	t       *testing.T
	rng     *rand.Rand
	setting setting
	proxy   *proxy
	over    chan struct{} // closed when no more is begun

	ids      atomic.Uint64
	requests atomic.Int64 // that origins got
	answers  [6]atomic.Int64
	broken   atomic.Int64

	mu      sync.Mutex
	faults  []string
	clients map[net.Conn]bool
}

// fault notes what must not be.
func (w *world) fault(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.faults) < 20 {
		w.faults = append(w.faults, fmt.Sprintf(format, args...))
	}
}

// torture is one run: everything at once for some time, then a look at what is left.
func torture(t *testing.T, seed uint64, lasts time.Duration) {
	rng := rand.New(rand.NewPCG(seed, 1))
	w := &world{t: t, rng: rng, setting: draw(rng), over: make(chan struct{}), clients: map[net.Conn]bool{}}
	origins := []*origin{newOrigin(w), newOrigin(w)}
	w.proxy = startProxy(t, w.setting, origins)
	before := w.proxy.look()

	var all sync.WaitGroup
	for range w.setting.clients {
		s := rng.Uint64()
		all.Go(func() { w.client(rand.New(rand.NewPCG(s, 2))) })
	}
	if w.setting.chaos {
		s := rng.Uint64()
		all.Go(func() { w.chaos(rand.New(rand.NewPCG(s, 3))) })
	}
	if lasts >= soakFrom {
		all.Go(func() { w.soak(lasts) })
	}
	time.Sleep(lasts)
	close(w.over)
	grace := 2 * patience // for those that are slow
	if lasts < patience/2 {
		grace = time.Second
	}
	time.AfterFunc(grace, w.cut)
	all.Wait()
	for _, o := range origins {
		o.end()
	}
	w.books(before)
	t.Logf("chaos %v, calm %v, %d workers, %d requests at origins; answers by class %d %d %d %d %d, broken %d", w.setting.chaos, w.setting.calm, w.setting.workers, w.requests.Load(),
		w.answers[1].Load(), w.answers[2].Load(), w.answers[3].Load(), w.answers[4].Load(), w.answers[5].Load(), w.broken.Load())
	for _, f := range w.faults {
		t.Error(f)
	}
	if t.Failed() {
		t.Logf("seed %d: repeat it with WEIR_TORTURE_SEED=%d\n%s", seed, seed, w.setting.config)
	}
}

func (w *world) ended() bool {
	select {
	case <-w.over:
		return true
	default:
		return false
	}
}

// cut closes what clients still have open.
func (w *world) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.clients {
		c.Close()
	}
}

// dial connects to weir.
func (w *world) dial() (*net.TCPConn, error) {
	c, err := net.DialTimeout("tcp", w.proxy.addr, patience)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clients[c] = true
	return c.(*net.TCPConn), nil
}

// hangUp closes a client's connection.
func (w *world) hangUp(c net.Conn) {
	c.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.clients, c)
}
