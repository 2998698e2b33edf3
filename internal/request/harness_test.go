// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"weir/internal/buffer"
	"weir/internal/clock"
	"weir/internal/conn"
	"weir/internal/event"
	"weir/internal/http1"
	"weir/internal/logfile"
	"weir/internal/offload"
	"weir/internal/route"
	"weir/internal/stats"
	"weir/internal/sys"
	"weir/internal/tempfile"
	"weir/internal/upstream"
	"weir/internal/vars"
)

// harness is an engine with its loop, a client and an origin, all on one goroutine: nothing happens but what the test does.
type harness struct {
	t       testing.TB
	loop    *event.Loop
	clock   *clock.Clock
	timers  event.Timers
	table   *conn.Table
	pool    *buffer.Pool
	small   *buffer.Pool // request_pool_size
	tiny    *buffer.Pool // connection_pool_size
	depot   *buffer.Depot
	engine  *Engine
	bind    *Bind
	group   *upstream.Group
	stats   *stats.Page
	peerRow stats.Row // of the origin
	calls   offload.Queue
	temp    *tempfile.Store // nil: no temporary files
	budget  budget          // theirs

	listening int
	address   sys.Sockaddr
	listener  *conn.Listener
	nop       event.Task
}

// harnessOptions are what tests vary.
type harnessOptions struct {
	Blocks     int // of the pool; 0: 64
	Location   func(*Location)
	Log        *logfile.Writer
	Reserve    int   // of the pool; 0: 2
	Conns      int   // places in the table; 0: 32
	LargeBytes int   // of the depot; 0: 4 MiB
	Spill      int64 // bytes that temporary files may hold; 0: there are none
	Unix       bool  // the origin listens on a unix socket: what is written to it is there at once
}

func listenLoopback(t testing.TB) (fd int, at sys.Sockaddr) {
	t.Helper()
	any := sys.SockaddrTCP(netip.MustParseAddrPort("127.0.0.1:0"))
	fd, err := sys.Listen(&any, &sys.ListenOptions{Backlog: 64})
	require.NoError(t, err)
	require.Zero(t, sys.LocalAddr(fd, &at))
	return fd, at
}

// listenUnix listens on an abstract socket. Its connections move bytes within the system call: no turn of the loop is too early.
func listenUnix(t testing.TB) (fd int, at sys.Sockaddr) {
	t.Helper()
	at, err := sys.SockaddrUnix(fmt.Sprintf("@weir-test-%d-%x", os.Getpid(), rand.Uint64()))
	require.NoError(t, err)
	fd, err = sys.Listen(&at, &sys.ListenOptions{Backlog: 512, UnixMode: 0o600})
	require.NoError(t, err)
	t.Cleanup(func() { sys.Close(fd) })
	return fd, at
}

func newHarness(t testing.TB, o harnessOptions) *harness {
	t.Helper()
	h := &harness{t: t, clock: clock.New(time.UTC)}
	h.timers.Init(h.clock.Ms())
	var err error
	if o.Conns == 0 {
		o.Conns = 32
	}
	h.loop, err = event.NewLoop(o.Conns+8, h.clock, &h.timers, h.calls.Drain)
	require.NoError(t, err)
	if o.Blocks == 0 {
		o.Blocks = 64
	}
	if o.Reserve == 0 {
		o.Reserve = 2
	}
	if o.LargeBytes == 0 {
		o.LargeBytes = 4 << 20
	}
	var wake wakePool
	wake.task.Init(&wake)
	h.pool, err = buffer.NewPool(buffer.Options{BlockSize: 16 << 10, Reserve: o.Reserve, Limit: o.Blocks, OnReady: func() { h.loop.Post(&wake.task) }})
	require.NoError(t, err)
	wake.pool = h.pool
	h.table = conn.NewTable(o.Conns, h.loop, &h.timers, h.clock)
	segment, err := stats.Create("test", 1)
	require.NoError(t, err)
	h.stats = segment.Slot(0)

	h.listening, h.address = listenLoopback(t)
	if o.Unix {
		sys.Close(h.listening)
		h.listening, h.address = listenUnix(t)
	}
	h.group = upstream.NewGroup(upstream.Options{
		Name: "app", Keepalive: 8, KeepaliveRequests: 1 << 30, KeepaliveTimeMs: 1 << 40, KeepaliveIdleMs: 60_000,
		Peers: []upstream.PeerOptions{{Name: "origin", Addr: h.address, IP: h.address.AddrPort(), Weight: 1, MaxFails: 1, FailTimeoutMs: 10_000, Row: &h.peerRow}},
	})
	h.small, err = buffer.NewPool(buffer.Options{BlockSize: 4 << 10, Limit: o.Conns})
	require.NoError(t, err)
	h.tiny, err = buffer.NewPool(buffer.Options{BlockSize: 512, Limit: o.Conns})
	require.NoError(t, err)
	h.depot = buffer.NewDepot(o.LargeBytes)
	h.bind = h.newBind(o)
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	require.NoError(t, err)
	log := logfile.OpenErrorLog(logfile.ErrorLogOptions{FD: int(null.Fd()), Level: logfile.LevelEmerg, Slot: 0})
	if o.Spill > 0 {
		h.openTemp(o.Spill, log)
	}
	h.engine = NewEngine(Options{
		Loop: h.loop, Clock: h.clock, Table: h.table, Pool: h.pool, Depot: h.depot, Stats: h.stats, Binds: []*Bind{h.bind}, Version: "test", Hostname: "host",
		Log: log, Spill: h.temp, MaxRewrite: 1 << 10, OnDamaged: func(string) {}, Groups: []*upstream.Group{h.group},
	})
	h.listener = &conn.Listener{ID: 0}
	t.Cleanup(func() {
		require.NoError(t, null.Close())
		require.NoError(t, segment.Close())
	})
	return h
}

// openTemp makes a store of temporary files that may hold so many bytes. What its thread does is done at once, and told in the next turn.
func (h *harness) openTemp(limit int64, log *logfile.ErrorLog) {
	dir, err := os.Open(h.t.TempDir())
	require.NoError(h.t, err)
	h.calls.Bind(h.loop)
	h.budget.limit = limit
	h.temp = tempfile.NewStore(tempfile.Options{Dir: int(dir.Fd()), Quota: &h.budget, Thread: h.calls.NewPromptThread(), Log: log})
	h.t.Cleanup(func() {
		h.settleTemp()
		require.Zero(h.t, h.temp.Open, "all files are closed")
		require.Zero(h.t, h.budget.used, "what they held is given back")
		dir.Close()
	})
}

// settleTemp makes turns until all is told that the store's thread has done.
func (h *harness) settleTemp() {
	for h.temp != nil && h.temp.Pending > 0 {
		h.loop.Turn()
	}
}

// budget is a tempfile.Quota.
type budget struct{ limit, used int64 }

func (b *budget) Acquire(bytes int64) bool { return b.take(bytes, b.limit/2) }
func (b *budget) Rescue(bytes int64) bool  { return b.take(bytes, b.limit) }
func (b *budget) Release(bytes int64)      { b.used -= bytes }

func (b *budget) take(bytes, bound int64) bool {
	if b.used+bytes > bound {
		return false
	}
	b.used += bytes
	return true
}

type wakePool struct {
	task event.Task
	pool *buffer.Pool
}

func (w *wakePool) RunTask() { w.pool.Wake() }

func (h *harness) newBind(o harnessOptions) *Bind {
	xff, err := vars.Compile("$proxy_add_x_forwarded_for")
	require.NoError(h.t, err)
	host, err := vars.Compile("$host")
	require.NoError(h.t, err)
	loc := &Location{
		Path: "/", Prefix: true, KeepaliveTimeoutMs: 75_000, KeepaliveTimeMs: 1 << 40, KeepaliveRequests: 1 << 30,
		BodyTimeoutMs: 60_000, BodyBlocks: 8, SendTimeoutMs: 60_000, MaxBody: 1 << 20, Linger: LingerOn, LingerTimeMs: 30_000, LingerTimeoutMs: 5_000,
		ServerLine: ServerLine("weir"),
	}
	loc.Proxy = &Proxy{
		Group: h.group, Authority: "app", Port: "80", ConnectTimeoutMs: 60_000, ReadTimeoutMs: 60_000, SendTimeoutMs: 60_000,
		Buffering: true, Blocks: 8, BusyBytes: 32 << 10, FirstPartBytes: 16 << 10, RequestBuffering: true, Limits: http1.Limits{LineBytes: 16 << 10, HeadBytes: 16 << 10, Fields: 100},
		SetHeaders: []SetHeader{NewSetHeader("Host", host), NewSetHeader("X-Forwarded-For", xff)}, Next: NextError | NextTimeout,
	}
	loc.Proxy.Overridden.Add(http1.FieldHost)
	loc.Proxy.Overridden.Add(http1.FieldXForwardedFor)
	loc.Proxy.Hidden.Add(http1.FieldDate)
	loc.Proxy.Hidden.Add(http1.FieldServer)
	loc.Proxy.Finish()
	if o.Log != nil {
		t, err := vars.CompileLog(vars.CombinedText, vars.EscapeDefault)
		require.NoError(h.t, err)
		loc.Logs = []Log{{Writer: o.Log, Template: Prepare(t)}}
	}
	if o.Location != nil {
		o.Location(loc)
	}
	locations, err := route.NewLocations([]route.Location{{Path: "/", AutoRedirect: true}})
	require.NoError(h.t, err)
	names, err := route.NewServerNames([]route.Server{{Names: []string{"example.com"}, Default: true}})
	require.NoError(h.t, err)
	s := &Server{Name: "example.com", Row: new(stats.Row), Locations: locations, List: []*Location{loc}, Default: loc, HeaderTimeoutMs: 60_000, Limits: http1.DefaultLimits(),
		RequestPool: h.small, ConnectionPool: h.tiny}
	return &Bind{Names: names, Servers: []*Server{s}, Default: s, Local: netip.MustParseAddrPort("127.0.0.1:80")}
}

// connectClient gives the client's end of a connection that the engine serves.
func (h *harness) connectClient() int {
	h.t.Helper()
	listening, at := listenLoopback(h.t)
	defer sys.Close(listening)
	fd, _ := sys.ConnectStart(&at, nil)
	require.Positive(h.t, fd)
	var from sys.Sockaddr
	served, errno := sys.Accept(listening, &from)
	require.Zero(h.t, errno)
	h.engine.OnAccept(h.listener, served, from.AddrPort())
	return fd
}

// pairClient is connectClient over a pair of sockets, which moves bytes at once; the client's address is a fixed one.
func (h *harness) pairClient() int {
	h.t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	require.NoError(h.t, err)
	h.engine.OnAccept(h.listener, fds[0], netip.MustParseAddrPort("192.0.2.1:1024"))
	return fds[1]
}

// served is the engine's end of a connection of pairClient's, that no request has yet.
func (h *harness) served() *conn.Conn {
	h.t.Helper()
	client := h.pairClient()
	h.t.Cleanup(func() { sys.Close(client) })
	return h.table.Waiting.Last()
}

// turn makes one turn of the loop; it sleeps when there is nothing to do.
func (h *harness) turn() { h.loop.Turn() }

// poll makes one turn of the loop that does not sleep.
func (h *harness) poll() {
	h.nop.Init(h)
	h.loop.Post(&h.nop)
	h.loop.Turn()
}

// RunTask does nothing: a posted task keeps a turn from sleeping. See event.Runner.
func (h *harness) RunTask() {}

// read takes what has arrived at fd, turning the loop until something has.
func (h *harness) read(fd int, b []byte) int {
	for range 100 {
		if n, errno := sys.Read(fd, b); errno == 0 {
			return n
		}
		h.turn()
	}
	h.t.Fatal("nothing arrives")
	return 0
}

// accept takes the engine's connection to the origin.
func (h *harness) accept() int {
	h.t.Helper()
	var from sys.Sockaddr
	for range 100 {
		if fd, errno := sys.Accept(h.listening, &from); errno == 0 {
			return fd
		}
		h.turn()
	}
	h.t.Fatal("no connection arrives at the origin")
	return -1
}

// settled checks that a request has left nothing behind.
func (h *harness) settled() {
	h.t.Helper()
	require.Zero(h.t, h.engine.InFlight(), "requests in flight")
	for _, p := range []*buffer.Pool{h.pool, h.small, h.tiny} {
		require.Zero(h.t, p.Stats().Used, "blocks of %d bytes in use", p.BlockSize())
		require.Empty(h.t, p.Check())
	}
	require.Zero(h.t, h.depot.Stats().LargeUsed, "large pieces in use")
	require.Empty(h.t, h.depot.Check())
}
