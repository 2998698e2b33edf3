// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package worker

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"weir/conf"
	"weir/internal/access"
	"weir/internal/request"
	"weir/internal/vars"
)

// access compiles the access checks of a location; nil: everybody may come in.
func (b *builder) access(c *conf.AccessSettings) (*request.Access, error) {
	a := &request.Access{Any: c.Satisfy == conf.SatisfyAny, DelayMs: c.AuthDelay.Milliseconds()}
	for _, rule := range c.Access {
		a.Rules = append(a.Rules, rule.Rule)
	}
	var err error
	if c.AuthBasic != "off" && c.AuthBasicUserFile != "" {
		if a.Realm, err = b.compile(string(c.AuthBasic)); err != nil {
			return nil, err
		}
		if a.Files, err = b.compile(string(c.AuthBasicUserFile)); err != nil {
			return nil, err
		}
	}
	if c.AuthRequest != "off" {
		a.Request = []byte(c.AuthRequest)
		for _, set := range c.AuthRequestSet {
			t, err := b.compile(string(set.Value))
			if err != nil {
				return nil, err
			}
			id, ok := vars.Assignable(set.Name)
			if !ok {
				id, ok = b.config.Variables.ID(set.Name)
			}
			if !ok {
				return nil, fmt.Errorf("auth_request_set: no variable %s", set.Name)
			}
			a.Sets = append(a.Sets, request.SetVariable{Variable: id, Value: t})
		}
	}
	if a.Rules == nil && a.Realm == nil && a.Request == nil {
		return nil, nil
	}
	return a, nil
}

// mirror compiles the mirror directives of a location; nil: there are none.
func mirror(c *conf.AccessSettings) *request.Mirror {
	if len(c.Mirror) == 0 {
		return nil
	}
	m := &request.Mirror{Body: c.MirrorRequestBody}
	for _, uri := range c.Mirror {
		m.URIs = append(m.URIs, []byte(uri))
	}
	return m
}

// realIP compiles set_real_ip_from and what goes with it; nil: nobody is trusted to name the client.
func (b *builder) realIP(c *conf.AccessSettings) *request.RealIP {
	if len(c.SetRealIPFrom) == 0 {
		return nil
	}
	ip := &request.RealIP{Recursive: c.RealIPRecursive, Header: strings.ToLower(c.RealIPHeader)}
	ip.ProxyProtocol = c.RealIPHeader == "proxy_protocol"
	for _, peer := range c.SetRealIPFrom {
		if peer.Host != "" {
			ip.From = append(ip.From, b.trustedHost(peer.Host)...)
			continue
		}
		ip.From = append(ip.From, peer.Net)
	}
	return ip
}

// trustedPatience is how long all names of set_real_ip_from together may take to be looked up. The worker does not serve yet.
const trustedPatience = 5 * time.Second

// trustedHost looks up the addresses of a trusted host, of each host once.
func (b *builder) trustedHost(host string) []access.Net {
	if found, ok := b.trusted[host]; ok {
		return found
	}
	if b.trusted == nil {
		b.trusted = map[string][]access.Net{}
		b.trustedUntil = time.Now().Add(trustedPatience)
	}
	ctx, cancel := context.WithDeadline(context.Background(), b.trustedUntil)
	defer cancel()
	addrs, err := (&net.Resolver{PreferGo: true}).LookupNetIP(ctx, "ip", host)
	if err != nil {
		b.log.Warn("host not found in set_real_ip_from, it is not believed", zap.String("host", host), zap.Error(err))
	}
	var found []access.Net
	for _, addr := range addrs {
		addr = addr.Unmap()
		found = append(found, access.Net{Prefix: netip.PrefixFrom(addr, addr.BitLen())})
	}
	b.trusted[host] = found
	return found
}

// clientSettings sets what the location says to clients, and how it ends their connections.
func (b *builder) clientSettings(l *request.Location, c *conf.Settings) {
	l.KeepaliveDisable = browsers(c.KeepaliveDisable)
	switch c.ServerTokens {
	case "off":
		l.ServerLine = request.ServerLine("weir")
	case "":
	case "on", "build":
		l.ServerLine = request.ServerLine("weir/" + b.build)
	default:
		l.ServerLine = request.ServerLine(string(c.ServerTokens))
	}
	if t := c.KeepaliveHeaderTimeout; t > 0 {
		l.KeepAliveField = "Keep-Alive: timeout=" + strconv.Itoa(int(t/time.Second)) + "\r\n"
	}
	l.NoChunks, l.ResetTimedOut = !c.ChunkedTransferEncoding, c.ResetTimedoutConnection
	l.PadPages, l.Refresh = c.MSIEPadding, c.MSIERefresh
}
