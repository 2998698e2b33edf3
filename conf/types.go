// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	"net/netip"
	"time"
)

// Size is a number of bytes. In TOML: a number, or "16k", "10m", "1g" with factors of 1024.
type Size int64

// Auto is a number that can be left to weir: 0 means "auto".
type Auto int

// Template is text with variables ($name, ${name}), checked when it was loaded. Who uses it compiles it once with vars.Compile
// (a log format with vars.CompileLog).
type Template string

// SizeTemplate is a number of bytes: fixed, as Size, or given for each request by a text with variables ("$name").
type SizeTemplate string

// Address is where a socket listens or an origin is: an IP address with a port, or the path of a unix socket. Values are comparable.
type Address struct {
	IP   netip.AddrPort // valid unless Path is set
	Path string         // of a unix socket; "" for TCP
}

// Origin is where an origin is: an Address, or a host by name. Values are comparable.
type Origin struct {
	Address        // the zero value when Host is set
	Host    string // in lower case, at most 253 bytes; "" for an Address
	Port    uint16 // of Host; 0: none is written
}

// NameServer is who is asked for names.
type NameServer struct{ Origin }

// Network is a range of client addresses: of IPv4, or of IPv6 without those that stand for IPv4 addresses. Its host bits are zero.
// Contains must be asked about an unmapped address (netip.Addr.Unmap).
type Network struct{ netip.Prefix }

// Path says which requests a location takes.
type Path struct {
	Modifier Modifier
	Text     string // the path, the regular expression, or the name with its "@"; without the modifier
}

// SoKeepalive is the so_keepalive parameter of a listen address. Idle, Interval and Count are 0 where the kernel's value holds.
type SoKeepalive struct {
	Switch   Switch
	Idle     time.Duration
	Interval time.Duration
	Count    int
}

// ProxyPass is where a location passes its requests.
type ProxyPass struct {
	Text      string // as written
	Variable  bool   // it has variables: Text is a template, what follows is worked out for each request, and Group means nothing
	Group     int    // index in Config.Groups
	Authority string // what $proxy_host says: the group's name, or the address as written ("localhost" for a unix socket)
	Port      int    // what $proxy_port says; 0 for a unix socket
	HasURI    bool   // whether URI replaces the part of the request's path that the location matched
	URI       string // path and query as written; "" without HasURI
}

// Redirects is the value of proxy_redirect: the rules in order; none is "off".
type Redirects []Redirect

// CookieRules is the value of proxy_cookie_domain and proxy_cookie_path: the rules in order; none is "off".
type CookieRules []Redirect

// Redirect changes what an origin's response says about itself: a Location or Refresh field, or an attribute of a cookie.
type Redirect struct {
	// The rule "default": From and To follow from the location. Never set in Location.Redirects.
	Default bool `toml:"-"`

	// What is replaced: text that may have variables, or behind "~" or "~*" a regular expression.
	From string `toml:"from" required:"true"`

	// What replaces it. May have variables.
	To Template `toml:"to" required:"true"`
}

// Listener is one listening address with all servers that share it.
type Listener struct {
	Listen        // the address and its socket options
	Servers []int // indexes in HTTP.Servers, in order of appearance
	Default int   // the one of them that takes requests for unknown names: an index in HTTP.Servers

	// Via is the index in Config.Listeners of the listener whose socket accepts for this one: its own index, or that of the wildcard
	// address with the same port, as nginx binds only the wildcard when a server listens on *:80 and another on 10.0.0.1:80. A worker tells
	// them apart by the connection's local address.
	Via int
}

// Modifier is the kind of a location's path.
type Modifier uint8

// Kinds of location paths.
const (
	Prefix      Modifier = iota // "/x": the longest prefix wins
	Exact                       // "= /x": wins over all
	PrefixFinal                 // "^~ /x": as Prefix, but no regular expression is tried after it
	Regex                       // "~ re": the first that matches, in order of appearance
	RegexFold                   // "~* re": as Regex, letter case ignored
	Named                       // "@name": only by internal redirect
)

// Switch is a choice that can be left open.
type Switch uint8

// Choices of a Switch.
const (
	Unset Switch = iota
	On
	Off
)

// Lingering is the choice of lingering_close.
type Lingering uint8

// Choices of lingering_close.
const (
	LingeringOff Lingering = iota
	LingeringOn
	LingeringAlways
)

// HTTPVersion is the version of requests to origins.
type HTTPVersion uint8

// Versions of HTTP: the number is the minor version.
const (
	HTTP10 HTTPVersion = iota
	HTTP11
)

// ProxyProtocol is the version of the PROXY protocol that connections to origins begin with.
type ProxyProtocol uint8

// Choices of proxy_protocol.
const (
	ProxyProtocolOff ProxyProtocol = iota
	ProxyProtocolV1
	ProxyProtocolV2
)

// Level is the severity of a line in the error log, as in syslog. A higher value is more severe.
type Level uint8

// Levels of the error log.
const (
	LevelDebug Level = iota
	LevelInfo
	LevelNotice
	LevelWarn
	LevelError
	LevelCrit
	LevelAlert
	LevelEmerg
)

// ErrorLogFormat is the form of lines in the error log.
type ErrorLogFormat uint8

// Forms of error log lines.
const (
	ErrorLogText ErrorLogFormat = iota
	ErrorLogJSON
	ErrorLogNginx
)

// SharedMutex is how the lock of a zone is made.
type SharedMutex uint8

// Kinds of shared_mutex.
const (
	MutexAtomic SharedMutex = iota
	MutexFlock
)

// StopSignal is what SIGTERM to the master does.
type StopSignal uint8

// Choices of stop_signal.
const (
	StopFast StopSignal = iota
	StopGraceful
)

// Splice says when bytes may go from socket to socket through a kernel pipe.
type Splice uint8

// Choices of splice.
const (
	SpliceAuto Splice = iota // where it pays
	SpliceOff
)

// OnFull is what a full zone does with a new key.
type OnFull uint8

// Choices of on_full.
const (
	OnFullReject OnFull = iota
	OnFullAllow
)

// CookieExpires is how long a browser keeps a cookie. 0: as long as it runs; CookieMax: to the end of 2037.
type CookieExpires time.Duration

// CookieMax is the text "max".
const CookieMax CookieExpires = 1<<63 - 1

// String is the time as it is written in a configuration.
func (x CookieExpires) String() string {
	if x == CookieMax {
		return "max"
	}
	return formatTime(time.Duration(x))
}

// HealthType is what a health check does.
type HealthType uint8

// What a health check does.
const (
	HealthHTTP HealthType = iota
	HealthTCP
)

// RandomChoice is whether, and among how many, an origin is chosen at random.
type RandomChoice uint8

// Choices of random.
const (
	RandomOff RandomChoice = iota
	RandomOne
	RandomTwo
)

// LimitLevel is one of the levels that refusals by a limit can be logged at: LevelInfo to LevelError, with their numbers.
type LimitLevel uint8

// Level is the level of the error log.
func (l LimitLevel) Level() Level { return Level(l) }

// Escape is how values are escaped in access log lines.
type Escape uint8

// Ways to escape.
const (
	EscapeDefault Escape = iota
	EscapeJSON
	EscapeNone
)

// NextUpstream is the set of conditions under which a request goes to the next origin. The empty set is "off".
type NextUpstream uint16

// Conditions of proxy_next_upstream.
const (
	NextError NextUpstream = 1 << iota
	NextTimeout
	NextInvalidHeader
	NextHTTP500
	NextHTTP502
	NextHTTP503
	NextHTTP504
	NextHTTP403
	NextHTTP404
	NextHTTP429
	NextNonIdempotent
	NextDenied
)

// The enums' names, by value; for NextUpstream by bit.
func (Modifier) names() []string       { return []string{"", "=", "^~", "~", "~*", "@"} }
func (Switch) names() []string         { return []string{"", "on", "off"} }
func (Lingering) names() []string      { return []string{"off", "on", "always"} }
func (HTTPVersion) names() []string    { return []string{"1.0", "1.1"} }
func (ErrorLogFormat) names() []string { return []string{"text", "json", "nginx"} }
func (Escape) names() []string         { return []string{"default", "json", "none"} }
func (SharedMutex) names() []string    { return []string{"atomic", "flock"} }
func (HealthType) names() []string     { return []string{"http", "tcp"} }
func (RandomChoice) names() []string   { return []string{"off", "one", "two"} }
func (StopSignal) names() []string     { return []string{"fast", "graceful"} }
func (Splice) names() []string         { return []string{"auto", "off"} }
func (ProxyProtocol) names() []string  { return []string{"off", "v1", "v2"} }
func (OnFull) names() []string         { return []string{"reject", "allow"} }
func (LimitLevel) names() []string     { return []string{"", "info", "notice", "warn", "error"} }
func (Level) names() []string {
	return []string{"debug", "info", "notice", "warn", "error", "crit", "alert", "emerg"}
}
func (NextUpstream) names() []string {
	return []string{
		"error", "timeout", "invalid_header", "http_500", "http_502", "http_503", "http_504",
		"http_403", "http_404", "http_429", "non_idempotent",
		"denied",
	}
}

// String is the modifier as written.
func (m Modifier) String() string { return m.names()[m] }

// String is the choice as written; "" when it is open.
func (s Switch) String() string { return s.names()[s] }

// String is the choice as written.
func (v ProxyProtocol) String() string { return v.names()[v] }

// String is the choice as written.
func (l Lingering) String() string { return l.names()[l] }

// String is the version as written.
func (v HTTPVersion) String() string { return v.names()[v] }

// String is the format's name.
func (f ErrorLogFormat) String() string { return f.names()[f] }

// String is the name of the way to escape.
func (e Escape) String() string { return e.names()[e] }

// String is the level's name.
func (l Level) String() string { return l.names()[l] }

// String is the kind as written.
func (m SharedMutex) String() string { return m.names()[m] }

// String is the choice as written.
func (s StopSignal) String() string { return s.names()[s] }

// String is the choice as written.
func (s Splice) String() string { return s.names()[s] }

// String is the choice as written.
func (o OnFull) String() string { return o.names()[o] }

// String is the choice as written.
func (c RandomChoice) String() string { return c.names()[c] }

// String is the type as written.
func (t HealthType) String() string { return t.names()[t] }

// String is the level as written.
func (l LimitLevel) String() string { return l.names()[l] }
