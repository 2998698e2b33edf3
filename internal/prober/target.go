// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package prober

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"weir/conf"
	"weir/internal/logfile"
	"weir/internal/peers"
	"weir/internal/sys"
)

// bodyMax is how much of a body is looked at.
const bodyMax = 256 << 10

// group is a group of origins with a health check.
type group struct {
	prober *prober
	config *conf.Upstream
	expect conf.Expectation
	fixed  map[string]bool // addresses of origins that are no hosts
}

// target is one origin that is checked.
type target struct {
	*group
	name          string // as package peers has it
	network, addr string // to dial
	client        *http.Client
	health        peers.Health
	passed        int // checks in a row
	failed        int
}

// addServer has one of the group's servers checked.
func (g *group) addServer(s *conf.UpstreamServer) {
	switch a := s.Address; {
	case s.Down:
	case a.Host != "": // see follow
	case a.Path != "":
		g.addFixed("unix:"+a.Path, "unix", a.Path)
	default:
		g.addFixed(a.IP.String(), "tcp", g.dialAddress(a.IP))
	}
}

// addFixed has an address checked, unless another server of the group is there too.
func (g *group) addFixed(name, network, addr string) {
	if !g.fixed[name] {
		g.fixed[name] = true
		go g.newTarget(name, network, addr).run(context.Background())
	}
}

// dialAddress is where an origin is checked: it may have a port of its own for that.
func (g *group) dialAddress(at netip.AddrPort) string {
	if port := g.config.HealthCheck.Port; port != 0 {
		return net.JoinHostPort(at.Addr().String(), strconv.Itoa(port))
	}
	return at.String()
}

func (g *group) newTarget(name, network, addr string) *target {
	t := &target{group: g, name: name, network: network, addr: addr}
	dialer := &net.Dialer{}
	t.client = &http.Client{
		Transport: &http.Transport{
			DisableKeepAlives: true, DisableCompression: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return dialer.DialContext(ctx, t.network, t.addr)
			},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return t
}

// run checks the target again and again.
func (t *target) run(ctx context.Context) {
	h := t.config.HealthCheck
	if list := t.peers(); len(list) > 0 {
		t.health, _ = list[0].Health()
	}
	for {
		t.note(t.check(ctx), ctx)
		pause := h.Interval
		if h.Jitter > 0 {
			pause += rand.N(h.Jitter)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// check makes one check; nil: the target has passed it.
func (t *target) check(ctx context.Context) error {
	h := t.config.HealthCheck
	ctx, cancel := context.WithTimeout(ctx, h.Timeout)
	defer cancel()
	if h.Type == conf.HealthTCP {
		c, err := (&net.Dialer{}).DialContext(ctx, t.network, t.addr)
		if err == nil {
			c.Close()
		}
		return plain(err)
	}
	request, err := t.request(ctx)
	if err != nil {
		return err
	}
	response, err := t.client.Do(request)
	if err != nil {
		return plain(err)
	}
	defer response.Body.Close()
	var body []byte
	if t.expect.WantsBody() {
		if body, err = io.ReadAll(io.LimitReader(response.Body, bodyMax)); err != nil {
			return plain(err)
		}
	}
	return t.expect.Check(response.StatusCode, func(name string) (string, bool) {
		values := fieldOf(response, name)
		return strings.Join(values, ", "), len(values) > 0
	}, body)
}

// fieldOf is the values of a field of the answer, also of those that package http takes out: Transfer-Encoding, and Connection where it says close.
func fieldOf(response *http.Response, name string) []string {
	values, framed := response.Header.Values(name), response.ContentLength >= 0 || len(response.TransferEncoding) > 0
	switch {
	case len(values) > 0:
		return values
	case strings.EqualFold(name, "Transfer-Encoding"):
		return response.TransferEncoding
	case strings.EqualFold(name, "Connection") && response.Close && framed && response.ProtoAtLeast(1, 1):
		return []string{"close"}
	}
	return nil
}

func (t *target) request(ctx context.Context) (*http.Request, error) {
	h := t.config.HealthCheck
	at, err := url.ParseRequestURI(h.URI)
	if err != nil {
		return nil, err
	}
	at.Scheme, at.Host = "http", "origin" // where that is the dialer knows
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, err
	}
	request.Host = h.Host
	if request.Host == "" {
		request.Host = t.config.Name
	}
	request.Header.Set("User-Agent", "weir/"+t.prober.build+" (health check)")
	return request, nil
}

// plain is an error without what everybody knows: the made-up address of the request.
func plain(err error) error {
	if e := (*url.Error)(nil); errors.As(err, &e) {
		err = e.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("timed out")
	}
	return err
}

// note counts the outcome of a check, and says what it has come to.
func (t *target) note(failure error, ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	h, before := t.config.HealthCheck, t.health
	if failure == nil {
		t.passed, t.failed = t.passed+1, 0
		if t.passed >= h.Passes {
			t.health = peers.Healthy
		}
	} else {
		t.failed, t.passed = t.failed+1, 0
		if t.failed >= h.Fails {
			t.health = peers.Unhealthy
		}
	}
	// Also when it is no news: a worker may have found the origin since.
	news := false
	for _, p := range t.peers() {
		if known, _ := p.Health(); known != t.health {
			news = p.SetHealth(t.health, sys.MonotonicNs()/1e6) || news
		}
	}
	if !news {
		return
	}
	log := t.prober.log
	fields := []zap.Field{zap.String("peer", t.name), zap.String("upstream", t.config.Name)}
	switch {
	case t.health == peers.Unhealthy:
		log.Log(logfile.LevelWarn, "peer is unhealthy", append(fields, zap.String("reason", fmt.Sprint(failure)))...)
	case t.health == peers.Healthy && before == peers.Unhealthy:
		log.Log(logfile.LevelNotice, "peer is healthy again", fields...)
	case t.health == peers.Healthy:
		log.Log(logfile.LevelInfo, "peer is healthy", fields...)
	}
}

// peers are the origins of the group that are there: one, or several with the same address.
func (t *target) peers() (list []*peers.Peer) {
	for {
		p, ok := t.prober.origins.Find(peers.Name{Group: t.config.Name, Address: t.name, Nth: len(list)})
		if !ok {
			return list
		}
		list = append(list, p)
	}
}
