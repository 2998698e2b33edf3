// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import "time"

// Upstream is one [http.upstream.NAME]: a group of origins.
type Upstream struct {
	// Name of the group.
	Name string `toml:"name" key:"true"`

	// Idle connections to the origins of the group that each worker keeps. 0: none.
	Keepalive int `toml:"keepalive" default:"32" max:"1048576"`

	// Requests sent over one kept connection; then it is closed.
	KeepaliveRequests int `toml:"keepalive_requests" default:"1000" min:"1" max:"2147483647"`

	// How long an idle connection is kept.
	KeepaliveTimeout time.Duration `toml:"keepalive_timeout" default:"60s" min:"1ms" max:"365d"`

	// Age at which a connection is closed after the response to its request.
	KeepaliveTime time.Duration `toml:"keepalive_time" default:"1h" min:"1ms" max:"365d"`

	// Whether a request goes to the origin with the fewest requests in progress over all workers, by weight.
	LeastConn bool `toml:"least_conn" default:"false"`

	// Whether all requests of a client go to the same origin: of an IPv4 address the first three bytes count, of an IPv6 address all.
	IPHash bool `toml:"ip_hash" default:"false"`

	// Text whose requests all go to the same origin: "template", or { key = "template", consistent = true } so that few move when an origin comes or goes (ketama).
	Hash *UpstreamHash `toml:"hash" example:"{ key = '$request_uri', consistent = true }"`

	// Whether an origin is chosen at random, by weight: of "two" the one with fewer requests in progress.
	Random RandomChoice `toml:"random" default:"off"`

	// Whether requests of a client go to the origin that its first one went to: by a cookie that weir sets, or by what the origin has given the client.
	Sticky *Sticky `toml:"sticky" example:"{ cookie = 'srv_id', expires = '1h', path = '/' }"`

	// Requests that wait while every origin that could take them has max_conns in progress: how many, and how long. A request that finds the queue full, or waits
	// longer, gets 502. Absent: none waits. See docs/upstreams.md.
	Queue *Queue `toml:"queue" example:"{ size = 100, timeout = '60s' }" as:"nginx's commercial version"`

	// Idle connections to the origins of the group that all workers keep together, at most; each worker keeps no more than keepalive of them. 0: only keepalive
	// bounds them.
	KeepaliveTotal int `toml:"keepalive_total" default:"0" max:"1048576" as:"weir"`

	// Checks of the origins while weir serves, by one process for all workers: one that fails gets no requests until it passes again. Absent: there are none, and only
	// max_fails counts. See docs/upstreams.md.
	HealthCheck *HealthCheck `toml:"health_check" example:"{ uri = '/healthz', interval = '2s' }" as:"nginx's commercial version"`

	// The name servers for origins with resolve. Absent: those of [http].
	Resolver *Resolver `toml:"resolver" example:"['127.0.0.1']"`

	// How long a name may take to be looked up. Absent: as in [http].
	ResolverTimeout *time.Duration `toml:"resolver_timeout" min:"1ms" max:"365d" example:"5s"`

	// The origins.
	Servers []UpstreamServer `toml:"server" required:"true"`

	// Implicit says that a proxy_pass made the group, not an [http.upstream].
	Implicit bool `toml:"-"`
}

// Sticky says how a client finds its origin again: by cookie or by route.
type Sticky struct {
	// Name of the cookie that weir sets.
	Cookie string `toml:"cookie" short:"true" default:"" example:"srv_id"`

	// Templates of which the first that is not empty is the origin's route: what an origin has made the client bring along.
	Route []Template `toml:"route" example:"['$cookie_route', '$arg_route']"`

	// How long a browser keeps the cookie: a time, or "max" for the end of 2037. 0: as long as it runs.
	Expires CookieExpires `toml:"expires" default:"0"`

	// Where a browser sends the cookie to: its attribute Domain.
	Domain Template `toml:"domain" default:"" example:".example.com"`

	// And its Path.
	Path string `toml:"path" default:"" example:"/"`

	// Whether scripts do not see the cookie.
	HTTPOnly bool `toml:"httponly" default:"false"`

	// Whether it is sent over TLS only.
	Secure bool `toml:"secure" default:"false"`

	// Its attribute SameSite: "strict", "lax", "none", or a template: nothing when that is empty, Strict when it is something else.
	SameSite Template `toml:"samesite" default:""`
}

// Queue is a line in which requests wait for a place, first come first served over all workers.
type Queue struct {
	// The most requests that wait at once.
	Size int `toml:"size" short:"true" required:"true" min:"1" max:"1000000" example:"100"`

	// How long a request waits.
	Timeout time.Duration `toml:"timeout" default:"60s" min:"1ms" max:"365d"`
}

// UpstreamHash says what an origin is chosen by.
type UpstreamHash struct {
	// What is hashed. A request for which it is empty goes to the next origin in turn.
	Key Template `toml:"key" short:"true" required:"true"`

	// Whether the origins stand on a ring of points, as nginx and Cache::Memcached::Fast place them.
	Consistent bool `toml:"consistent" default:"false"`
}

// UpstreamServer is one origin of a group.
type UpstreamServer struct {
	// Where it is: "127.0.0.1:9000", "[::1]:9000", "unix:run/app.sock", or the name of a host: each of its addresses is an origin then. Without a port: 80.
	Address Origin `toml:"address" short:"true" required:"true" example:"127.0.0.1:9000"`

	// Its share of the requests.
	Weight int `toml:"weight" default:"1" min:"1" max:"65535"`

	// Failed attempts within fail_timeout that make it unavailable for fail_timeout. 0: attempts are not counted.
	MaxFails int `toml:"max_fails" default:"1" max:"1000000"`

	// See max_fails.
	FailTimeout time.Duration `toml:"fail_timeout" default:"10s" max:"365d"`

	// The most requests that it may have in progress at once, over all workers and generations. A request that finds no place with any origin waits
	// in the group's queue, or gets 502 where there is none. 0: any number.
	MaxConns int `toml:"max_conns" default:"0" max:"65535"`

	// Never used.
	Down bool `toml:"down" default:"false"`

	// Used only for requests that are bound to it by sticky. Like down, it counts until an operator says otherwise (weir upstream).
	Drain bool `toml:"drain" default:"false"`

	// Time over which its weight grows from 0 to all of it when it comes back: when requests succeed again, a health check passes, an operator says up, or a reload has added it to
	// the group. Not in a group of one, and not with hash, ip_hash and random.
	SlowStart time.Duration `toml:"slow_start" default:"0" max:"1d"`

	// What stands for the origin in sticky. Empty: the MD5 of its address and port, in hexadecimal digits.
	Route string `toml:"route" default:"" example:"a"`

	// Used only when all others are unavailable.
	Backup bool `toml:"backup" default:"false"`

	// Whether the host's addresses are looked up again and again while weir serves, as often as the answers say, with the resolver. Otherwise they are looked up once, as the
	// system does it.
	Resolve bool `toml:"resolve" default:"false"`

	// The host's SRV records of this name are the origins: "http" stands for "_http._tcp"; a name with a dot is taken as it is. Records of the highest priority are
	// ordinary origins, the others are backups; their weights count unless the origin has one of its own.
	Service string `toml:"service" example:"http"`
}

// Server is one [[http.server]]: a virtual server. Its Settings hold also for requests that no location matches.
type Server struct {
	ServerSettings
	Settings

	// Addresses to listen on: "127.0.0.1:8080", "*:80", "8080", "[::]:80", "unix:run/weir.sock", or a table.
	Listen []Listen `toml:"listen" default:"['*:80']" as:"nginx; which takes *:8000 when it is not started by root"`

	// Names of the server: exact, "*.example.org", "www.example.*", ".example.org" (both the name and all below it), or "~regex". The first is the server's own.
	ServerName []string `toml:"server_name" default:"['']"`

	// What is done with every request of the server before its location is looked for, in this order. See docs/rewriting.md.
	Rules Rules `toml:"rewrite" as:"nginx's set, rewrite, if, break and return" example:"[{ regex = '^/old/(.*)$', replacement = '/new/$1', flag = 'last' }]"`

	// An answer given to every request of the server that rewrite has not answered, whatever its location.
	Return *Return `toml:"return"`

	// Files tried, in order, for requests that no location matches; the last is what to do when none is there. See the key of a location.
	TryFiles []Template `toml:"try_files" example:"['$uri', '=404']"`

	// How requests are handled, by path.
	Locations []Location `toml:"location"`
}

// Listen is an address that a server listens on.
type Listen struct {
	// IP address and port, only an address (port 80), only a port, or a unix socket.
	Address Address `toml:"address" short:"true" required:"true" example:"0.0.0.0:80"`

	// Connections that the kernel queues until they are accepted.
	Backlog int `toml:"backlog" default:"511" min:"1" max:"1048576"`

	// A socket of its own for each worker; the kernel spreads connections over them.
	Reuseport bool `toml:"reuseport" default:"false"`

	// Whether this server takes the requests for names that no server on the address has. Otherwise the first one does.
	DefaultServer bool `toml:"default_server" default:"false"`

	// Whether an IPv6 socket takes IPv6 connections only.
	IPv6Only bool `toml:"ipv6only" default:"true"`

	// Size of the kernel's receive buffer. 0: the kernel's own choice.
	Rcvbuf Size `toml:"rcvbuf" default:"0" max:"1g"`

	// Size of the kernel's send buffer. 0: the kernel's own choice.
	Sndbuf Size `toml:"sndbuf" default:"0" max:"1g"`

	// TCP keep-alive of accepted connections: true, false, or the idle time, the interval and the count of probes as "30m::10". Absent: the kernel's choice.
	SoKeepalive SoKeepalive `toml:"so_keepalive" example:"30m::10"`

	// Whether the kernel hands over a connection only when its client has sent something (TCP_DEFER_ACCEPT).
	Deferred bool `toml:"deferred" default:"false"`

	// Connections of TCP Fast Open that may wait without having completed the handshake. 0: none, it is off.
	FastOpen int `toml:"fastopen" default:"0" max:"1048576"`

	// Whether the address gets a socket of its own although a wildcard address with the same port would accept for it.
	Bind bool `toml:"bind" default:"false"`

	// Whether every connection begins with a header of the PROXY protocol, version 1 or 2. See docs/access.md.
	ProxyProtocol bool `toml:"proxy_protocol" default:"false"`

	// Connections that may be open at once for each key of a zone, counted from accept to close, whether or not a request comes. A connection
	// over a limit is closed at once. The zone's key may name the client's and the server's address only. See docs/limits.md.
	LimitConns []LimitConn `toml:"limit_conn" example:"[{ zone = 'addr', max = 100 }]" as:"weir"`

	// Clients whose connections limit_conn of this address does not count.
	LimitConnBypass []Network `toml:"limit_conn_bypass" example:"['10.0.0.0/8']" as:"weir"`
}

// Location is one [[http.server.location]]: how requests for a path are handled.
type Location struct {
	Settings

	// Which requests: "/prefix", "= /exact", "^~ /prefix" (no regex is tried after it), "~ regex", "~* regex" (letter case ignored), or "@name".
	Path Path `toml:"path" required:"true" as:"nginx location" example:"/"`

	// Where requests are passed: "http://GROUP", "http://127.0.0.1:9000", "http://host.example:9000", "http://unix:run/app.sock:", each with or without a path that replaces the
	// location's. With variables, where a request goes is worked out for each: a group, an address, or a host that the resolver looks up; a path in it is passed as it is.
	ProxyPass *ProxyPass `toml:"proxy_pass" example:"http://127.0.0.1:9000"`

	// What is done with a request before limits and access are looked at, in this order. See docs/rewriting.md.
	Rules Rules `toml:"rewrite" as:"nginx's set, rewrite, if, break and return" example:"[{ if = '$arg_debug', proxy_pass = 'http://debug' }]"`

	// An answer given at once, after what rewrite does.
	Return *Return `toml:"return"`

	// Folder or file that takes the place of the part of the path that the location matched; in a location given by a regular expression, the
	// whole file. May have variables. In the place of root.
	Alias Template `toml:"alias" example:"/srv/images/"`

	// Files tried, in order: below root, with variables; a folder where it ends with a slash. The last is what to do when none is there: a
	// path to go on with ("/index.html?$args"), a named location ("@name"), or a status code ("=404").
	TryFiles []Template `toml:"try_files" example:"['$uri', '$uri/', '/index.html']"`

	// Whether requests are answered with a transparent picture of one dot.
	EmptyGIF bool `toml:"empty_gif" default:"false"`
	// Whether the location is open only to requests that come from within: by error_page, rewrite and the like. Others are answered with 404. It holds for the
	// locations in it, too.
	Internal bool `toml:"internal" default:"false"`

	// What holds for all methods but some.
	LimitExcept *LimitExcept `toml:"limit_except" example:"{ methods = ['GET'], proxy_pass = 'http://writers' }"`

	// Whether requests are answered with the numbers of connections and requests of the whole instance, in the lines of nginx's status page.
	StubStatus bool `toml:"stub_status" default:"false"`

	// Whether requests are answered with the numbers of the whole instance in the Prometheus text format. See docs/metrics.md.
	Metrics bool `toml:"metrics" default:"false" as:"weir"`

	// Whether requests are answered with the same numbers as JSON.
	StatusAPI bool `toml:"status_api" default:"false" as:"weir"`

	// Whether requests are answered with a page that shows them live. The server needs a location with status_api, given by a prefix or an exact path.
	Dashboard bool `toml:"dashboard" default:"false" as:"weir"`

	// How long requests of this location, and tunnels above all, may go on in a worker that leaves: in the place of the main worker_shutdown_timeout. 0: for ever.
	WorkerShutdownTimeout *time.Duration `toml:"worker_shutdown_timeout" max:"365d" as:"weir; nginx has it once for all" example:"10m"`

	// Locations within this one, for paths that it takes.
	Locations []Location `toml:"location"`

	// Derived says that it was made for an if or a limit_except of a location.
	Derived bool `toml:"-"`

	// AliasOf is the location around this one whose alias holds here, as with nginx, because nothing in between has an alias or root of its own; nil: none does.
	AliasOf *Location `toml:"-"`

	// Redirects are ProxyRedirect with "default" worked out for this location, in order; the first that fits is used.
	Redirects []Redirect `toml:"-"`
}

// Return is an answer given without an origin.
type Return struct {
	// Status code; 444 closes the connection without an answer. Most clients take an answer with a code below 200 for none, and wait for another.
	Code int `toml:"code" short:"true" min:"100" max:"999" example:"200"`

	// Body of the answer. May have variables.
	Text Template `toml:"text" example:"ok"`

	// Where to redirect to, with 301, 302 (the default), 303, 307 or 308. May have variables. "": the field Location has no value.
	URL Template `toml:"url" example:"https://$host$request_uri"`
}
