// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"weir/internal/route"
)

// defaultPort is the port of an address that names none.
const defaultPort = 80

// maxUnixPath is the longest path of a unix socket (unix(7): sun_path less its final NUL).
const maxUnixPath = 107

// errHostName is why an address to listen on that is a name is refused.
var errHostName = errors.New("weir listens on IP addresses; no name is looked up for it")

func (s *Size) decodeTOML(d *decoder, n *node, p *path) bool {
	var i int64
	var err error
	switch v := n.value.(type) {
	case string:
		i, err = ParseSize(v)
	case int64:
		i = v
	default:
		err = fmt.Errorf("must be a size such as \"16k\", \"10m\" or 512, not %s", n.describe())
	}
	if err != nil {
		d.fault(n, p, "%v", err)
		return false
	}
	*s = Size(i)
	return true
}

func (r *Rate) decodeTOML(d *decoder, n *node, p *path) bool {
	text, ok := n.value.(string)
	number, unit, _ := strings.Cut(text, "r/")
	requests, err := strconv.Atoi(number)
	switch {
	case !ok || err != nil || unit != "s" && unit != "m":
		d.fault(n, p, "must be a rate such as \"10r/s\" or \"30r/m\", not %s", n.describe())
		return false
	case requests < 1 || requests > maxRate:
		d.fault(n, p, "must be within 1 and %d requests", maxRate)
		return false
	}
	*r = Rate{Requests: requests, Per: time.Second}
	if unit == "m" {
		r.Per = time.Minute
	}
	return true
}

// maxRate keeps the time of one request well above a nanosecond.
const maxRate = 1_000_000

func (s *SizeTemplate) decodeTOML(d *decoder, n *node, p *path) bool {
	text, ok := n.value.(string)
	if !ok || !strings.Contains(text, "$") {
		var size Size
		if !size.decodeTOML(d, n, p) {
			return false
		}
		if size < 0 {
			d.fault(n, p, "must be at least 0, not %s", n.describe())
			return false
		}
		*s = SizeTemplate(size.String())
		return true
	}
	d.templates = append(d.templates, templateUse{n, p, text})
	*s = SizeTemplate(text)
	return true
}

func (x *CookieExpires) decodeTOML(d *decoder, n *node, p *path) bool {
	var t time.Duration
	var err error
	switch v := n.value.(type) {
	case string:
		if v == "max" {
			*x = CookieMax
			return true
		}
		t, err = ParseTime(v)
	case int64:
		t = time.Duration(v) * time.Second
	default:
		err = errors.New("not a time")
	}
	if err != nil || t < 0 || t > maxExpires {
		d.fault(n, p, "must be a time such as \"1h\", at most %s, or \"max\", not %s", formatTime(maxExpires), n.describe())
		return false
	}
	*x = CookieExpires(t)
	return true
}

// maxExpires is the longest time for which a browser is asked to keep a cookie.
const maxExpires = 10 * 365 * 24 * time.Hour

// Fixed is the number of bytes if it does not depend on the request.
func (s SizeTemplate) Fixed() (bytes Size, ok bool) {
	n, err := ParseSize(string(s))
	return Size(n), err == nil
}

func (a *Auto) decodeTOML(d *decoder, n *node, p *path) bool {
	if n.value == "auto" {
		*a = 0
		return true
	}
	i, ok := n.value.(int64)
	switch {
	case !ok:
		d.fault(n, p, "must be a whole number or \"auto\", not %s", n.describe())
	case i == 0:
		d.fault(n, p, "must be at least 1, not 0")
	}
	*a = Auto(i)
	return ok && i != 0
}

func (a *Address) decodeTOML(d *decoder, n *node, p *path) bool {
	var err error
	switch v := n.value.(type) {
	case string:
		*a, err = parseAddress(v)
		if err == nil && a.Path != "" {
			a.Path = d.file(n, p, a.Path)
			if len(a.Path) > maxUnixPath {
				err = fmt.Errorf("the path of a unix socket has at most %d bytes, not %d", maxUnixPath, len(a.Path))
			}
		}
	case int64:
		*a, err = parseAddress(strconv.FormatInt(v, 10))
	default:
		err = fmt.Errorf("must be an address such as \"127.0.0.1:8080\", not %s", n.describe())
	}
	if err != nil {
		d.fault(n, p, "%v", err)
	}
	return err == nil
}

// parseAddress parses "1.2.3.4:80", "1.2.3.4", "[::1]:80", "*:80", "80", "localhost:80" or "unix:PATH". No name is looked up.
func parseAddress(text string) (Address, error) {
	if file, ok := strings.CutPrefix(text, "unix:"); ok {
		if file == "" {
			return Address{}, errors.New("\"unix:\" needs the path of a socket")
		}
		return Address{Path: file}, nil
	}
	if address, _, ok := strings.Cut(text, " "); ok {
		return Address{}, fmt.Errorf("options are keys of a table: { address = %s, ... }", quote(address))
	}
	host, port, err := splitPort(text)
	if err != nil {
		return Address{}, err
	}
	switch {
	case host == "*":
		return Address{IP: netip.AddrPortFrom(netip.IPv4Unspecified(), port)}, nil
	case strings.EqualFold(host, "localhost"):
		return Address{IP: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)}, nil
	}
	bare, bracketed := strings.CutPrefix(host, "[")
	bare, closed := strings.CutSuffix(bare, "]")
	ip, err := netip.ParseAddr(bare)
	switch {
	case err != nil && looksLikeName(host):
		return Address{}, fmt.Errorf("%s: %w", quote(host), errHostName)
	case err != nil || ip.Is4() == bracketed || bracketed != closed || ip.Zone() != "":
		return Address{}, fmt.Errorf("%s is not an address such as \"127.0.0.1:8080\", \"[::1]:8080\" or \"unix:PATH\"", quote(text))
	}
	return Address{IP: netip.AddrPortFrom(ip, port)}, nil
}

func (o *Origin) decodeTOML(d *decoder, n *node, p *path) bool {
	if text, ok := n.value.(string); ok {
		if parsed, err := parseOrigin(text); err != nil || parsed.Host != "" {
			if err != nil {
				d.fault(n, p, "%v", err)
			}
			*o = parsed
			return err == nil
		}
	}
	*o = Origin{}
	return o.Address.decodeTOML(d, n, p)
}

// hostMax is how long a name in the DNS may be, in text.
const hostMax = 253

// parseOrigin is parseAddress for an origin, which may be a host by name.
func parseOrigin(text string) (Origin, error) {
	a, err := parseAddress(text)
	if !errors.Is(err, errHostName) {
		return Origin{Address: a}, err
	}
	host, port, err := splitPort(text)
	if err != nil {
		return Origin{}, err
	}
	if len(host) > hostMax {
		return Origin{}, fmt.Errorf("a host's name has at most %d bytes, not %d", hostMax, len(host))
	}
	if strings.HasSuffix(text, host) {
		port = 0
	}
	return Origin{Host: strings.ToLower(host), Port: port}, nil
}

// PortOr is the port of a host; otherwise where none is written.
func (o Origin) PortOr(otherwise uint16) uint16 {
	if o.Port != 0 {
		return o.Port
	}
	return otherwise
}

// String is the origin as it is written in a configuration.
func (o Origin) String() string {
	switch {
	case o.Host == "":
		return o.Address.String()
	case o.Port == 0:
		return o.Host
	}
	return o.Host + ":" + strconv.Itoa(int(o.Port))
}

// splitPort splits "host:port", "host" or "port"; an IPv6 host keeps its brackets.
func splitPort(text string) (host string, port uint16, err error) {
	host, digits := text, ""
	if i := strings.LastIndexByte(text, ':'); i >= 0 && !strings.HasSuffix(text, "]") {
		host, digits = text[:i], text[i+1:]
	} else if isDigits(text) {
		host, digits = "*", text
	} else {
		return host, defaultPort, nil
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || n == 0 || !isDigits(digits) {
		return "", 0, fmt.Errorf("%s: a port is a number from 1 to 65535", quote(text))
	}
	return host, uint16(n), nil
}

func isDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// looksLikeName says whether a text is made like a host name that is not an IPv4 address.
func looksLikeName(s string) bool {
	for i := range len(s) {
		if !bareByte(s[i]) && s[i] != '.' {
			return false
		}
	}
	return strings.Trim(s, "0123456789.") != ""
}

// valid says whether the address has been set.
func (a Address) valid() bool { return a.Path != "" || a.IP.IsValid() }

// String is the address as it is written in a configuration.
func (a Address) String() string {
	if a.Path != "" {
		return "unix:" + a.Path
	}
	return a.IP.String()
}

func (w *Network) decodeTOML(d *decoder, n *node, p *path) bool {
	text, ok := n.value.(string)
	network, meant := Network{}, false
	if ok {
		network, meant = parseNetwork(text)
	}
	if !meant {
		d.fault(n, p, "must be an address or a network such as \"192.0.2.7\" or \"10.0.0.0/8\", not %s", n.describe())
		return false
	}
	if masked := network.Masked(); masked != network.Prefix {
		d.warnAt(p, "%s is the network %s: the bits behind the prefix mean nothing", quote(text), masked)
		network.Prefix = masked
	}
	*w = network
	return true
}

// parseNetwork parses an address or a network in CIDR notation. IPv6 addresses that stand for IPv4 ones become those.
func parseNetwork(text string) (Network, bool) {
	network, err := netip.ParsePrefix(text)
	if err != nil {
		ip, err := netip.ParseAddr(text)
		if err != nil || ip.Zone() != "" {
			return Network{}, false
		}
		network = netip.PrefixFrom(ip, ip.BitLen())
	}
	if ip := network.Addr(); ip.Is4In6() && network.Bits() >= 96 {
		network = netip.PrefixFrom(ip.Unmap(), network.Bits()-96)
	}
	return Network{network}, true
}

// String is the network as it is written in a configuration.
func (w Network) String() string {
	if w.IsSingleIP() {
		return w.Addr().String()
	}
	return w.Prefix.String()
}

func (l *Path) decodeTOML(d *decoder, n *node, p *path) bool {
	text, ok := n.value.(string)
	if !ok {
		d.fault(n, p, "must be a path such as \"/x\", not %s", n.describe())
		return false
	}
	*l = parsePath(text)
	switch l.Modifier {
	case Regex, RegexFold:
		return d.regex(n, p, l.Text, l.Modifier == RegexFold)
	case Named:
		if l.Text == "@" {
			d.fault(n, p, "\"@\" needs a name")
			return false
		}
	default:
		if !strings.HasPrefix(l.Text, "/") {
			d.fault(n, p, "must begin with \"/\" (or be \"= /x\", \"^~ /x\", \"~ regex\", \"~* regex\" or \"@name\"), not %s", n.describe())
			return false
		}
	}
	return true
}

// regex checks a regular expression and notes its named captures: they are variables.
func (d *decoder) regex(n *node, p *path, text string, ignoreCase bool) bool {
	pattern, err := route.NewPattern(text, ignoreCase)
	if err != nil {
		d.fault(n, p, "%v", err)
		return false
	}
	for _, name := range pattern.GroupNames() {
		if name == "" {
			continue
		}
		if _, err := d.variables.Define(name); err != nil {
			d.fault(n, p, "named group: %v", err)
			return false
		}
	}
	return true
}

// parsePath splits a location's path into its modifier and the rest.
func parsePath(text string) Path {
	for _, m := range []Modifier{RegexFold, Regex, PrefixFinal, Exact} { // "~*" before "~"
		if rest, ok := strings.CutPrefix(text, m.String()); ok {
			return Path{m, strings.TrimLeft(rest, " \t")}
		}
	}
	if strings.HasPrefix(text, "@") {
		return Path{Named, text}
	}
	return Path{Prefix, text}
}

// String is the path as it is written in a configuration.
func (l Path) String() string {
	if l.Modifier == Prefix || l.Modifier == Named {
		return l.Text
	}
	return l.Modifier.String() + " " + l.Text
}

func (k *SoKeepalive) decodeTOML(d *decoder, n *node, p *path) bool {
	bad := func() bool {
		d.fault(n, p, "must be true, false, or \"idle:interval:count\" such as \"30m::10\", not %s", n.describe())
		return false
	}
	*k = SoKeepalive{Switch: On}
	if on, ok := n.value.(bool); ok {
		if !on {
			k.Switch = Off
		}
		return true
	}
	text, ok := n.value.(string)
	if !ok {
		return bad()
	}
	switch text {
	case "on":
		return true
	case "off":
		k.Switch = Off
		return true
	}
	parts := strings.Split(text, ":")
	if len(parts) != 3 || text == "::" {
		return bad()
	}
	var err error
	if parts[0] != "" {
		k.Idle, err = ParseTime(parts[0])
	}
	if parts[1] != "" && err == nil {
		k.Interval, err = ParseTime(parts[1])
	}
	if parts[2] != "" && err == nil {
		k.Count, err = strconv.Atoi(parts[2])
	}
	if err != nil || k.Count < 0 {
		return bad()
	}
	return true
}

// String is the parameter as it is written in a configuration; "" when it is absent.
func (k SoKeepalive) String() string {
	if k.Idle == 0 && k.Interval == 0 && k.Count == 0 {
		return k.Switch.String()
	}
	var b strings.Builder
	if k.Idle != 0 {
		b.WriteString(formatTime(k.Idle))
	}
	b.WriteByte(':')
	if k.Interval != 0 {
		b.WriteString(formatTime(k.Interval))
	}
	b.WriteByte(':')
	if k.Count != 0 {
		b.WriteString(strconv.Itoa(k.Count))
	}
	return b.String()
}

func (s *NextUpstream) decodeTOML(d *decoder, n *node, p *path) bool {
	*s = 0
	if n.value == "off" || n.value == false {
		return true
	}
	elems := n.elems
	if !n.list {
		elems = []*node{n}
	}
	names := s.names()
	good := true
	for i, e := range elems {
		given, _ := e.value.(string)
		bit := 0
		for bit < len(names) && names[bit] != given {
			bit++
		}
		if bit == len(names) {
			d.fault(e, p.at(i), "must be \"off\" or a list of %s, not %s%s", alternatives(names), e.describe(), suggest(given, names))
			good = false
			continue
		}
		*s |= 1 << bit
	}
	return good
}

// Has says whether the set has a condition.
func (s NextUpstream) Has(condition NextUpstream) bool { return s&condition != 0 }

// alternatives are names as in `"a", "b" or "c"`.
func alternatives(names []string) string {
	var quoted []string
	for _, name := range names {
		if name != "" {
			quoted = append(quoted, quote(name))
		}
	}
	last := len(quoted) - 1
	return strings.Join(quoted[:last], ", ") + " or " + quoted[last]
}
