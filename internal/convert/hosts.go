// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package convert

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"weir/internal/convert/wire"
)

// Names of hosts where weir takes addresses: nginx resolves them when it reads its configuration, and so does who reads the files for a conversion.

// listenAddresses are the addresses that one of a listen stands for: all that the host has, as with nginx.
func (c *converter) listenAddresses(l *level, d *directive, address string) []string {
	host, port := splitHost(address)
	if !isName(host) {
		return []string{address}
	}
	ips := c.lookUp(d, host)
	if ips == nil {
		c.refuse(l, d, "host not found in \"%s\" of the \"listen\" directive", address)
		return nil
	}
	all := make([]string, len(ips))
	for i, ip := range ips {
		all[i] = bracket(ip) + port
	}
	return all
}

// logTarget is where a log goes: of a syslog server by name, the first address. False: the directive is refused.
func (c *converter) logTarget(l *level, d *directive, path string) (string, bool) {
	rest, ok := strings.CutPrefix(path, "syslog:")
	if !ok {
		return path, true
	}
	parameters := strings.Split(rest, ",")
	for i, p := range parameters {
		server, ok := strings.CutPrefix(p, "server=")
		host, port := splitHost(server)
		if !ok || strings.HasPrefix(server, "unix:") || !isName(host) {
			continue
		}
		ips := c.lookUp(d, host)
		if ips == nil {
			c.refuse(l, d, "host not found in syslog server \"%s\"", server)
			return "", false
		}
		parameters[i] = "server=" + bracket(ips[0]) + port
	}
	return "syslog:" + strings.Join(parameters, ","), true
}

// lookUp is the addresses of a host; nil: there are none. Where names are not looked up (weir -t), an address that nobody has stands for those of a host.
func (c *converter) lookUp(d *directive, host string) []string {
	ips, err := c.files.LookUp(host)
	if err != nil {
		return nil
	}
	if len(ips) == 0 {
		ip := c.standIn(host)
		c.note(wire.Different, d, "the addresses of \"%s\" are looked up when weir starts or reloads: here %s stands for them", host, ip)
		return []string{ip}
	}
	c.note(wire.Different, d, "the addresses of \"%s\" are looked up when the configuration is read: %s", host, strings.Join(ips, ", "))
	return ips
}

// standIn is an address for documents (RFC 3849), another one for each host.
func (c *converter) standIn(host string) string {
	at := slices.Index(c.unknown, host)
	if at < 0 {
		at = len(c.unknown)
		c.unknown = append(c.unknown, host)
	}
	return fmt.Sprintf("2001:db8::%x", at+1)
}

// splitHost splits "host:port", and keeps the colon.
func splitHost(text string) (host, port string) {
	if at := strings.LastIndexByte(text, ':'); at >= 0 && !strings.HasSuffix(text, "]") {
		return text[:at], text[at:]
	}
	return text, ""
}

// isName says whether a host is one that has to be looked up: localhost has not.
func isName(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil || strings.EqualFold(host, "localhost") || host == "unix" {
		return false
	}
	letters := false
	for _, r := range []byte(host) {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (r < '0' || r > '9') && r != '.' && r != '-' && r != '_' {
			return false
		}
		letters = letters || letter
	}
	return letters
}

// bracket is an address as one that a port follows.
func bracket(ip string) string {
	return strings.TrimSuffix(net.JoinHostPort(ip, ""), ":")
}
