// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"net/netip"

	"weir/internal/buffer"
	"weir/internal/http1"
	"weir/internal/logfile"
	"weir/internal/resolver"
	"weir/internal/route"
	"weir/internal/static"
	"weir/internal/stats"
	"weir/internal/upstream"
	"weir/internal/vars"
)

// The types in this file are the config as requests use it: compiled once at start by package worker, read-only afterwards.

// Bind is one listening address: the servers behind it.
type Bind struct {
	Names   *route.ServerNames // gives an index in Servers
	Servers []*Server
	Default *Server // for hosts that nobody has
	// Local is the address as $server_addr and $server_port show it, when every connection has the same; invalid for a wildcard.
	Local netip.AddrPort
	// ByLocal are the binds that take over for connections to one of a wildcard's addresses; mostly nil.
	ByLocal map[netip.AddrPort]*Bind
	// Address is what it listens on, for people.
	Address string
	// Unix says that it is a unix socket; Path is its path.
	Unix bool
	Path string

	// ProxyProtocol says that connections begin with a header of the PROXY protocol.
	ProxyProtocol bool

	// Limits hold for a connection from accept to close; their keys are made of addresses only. May be nil.
	Limits *Limits

	last lastHost // the only part that changes
}

// Server is one virtual server.
type Server struct {
	Name      string           // $server_name
	Locations *route.Locations // gives an index in List
	List      []*Location
	// Default has the settings that apply where no location matches.
	Default *Location
	Rules   *Rules // of the directives rewrite, set, if, return, break; may be nil

	// KeepSlashes is merge_slashes = false.
	KeepSlashes bool
	// HeaderTimeoutMs is the time for a whole head, from its first byte (client_header_timeout).
	HeaderTimeoutMs int64
	// Limits are those of request heads.
	Limits http1.Limits
	// Row is where its requests are counted; nil: they are not.
	Row *stats.Row
	// RequestPool and ConnectionPool give the small pieces of requests' memory (request_pool_size, connection_pool_size), where this is the
	// default server of the address.
	RequestPool, ConnectionPool *buffer.Pool
}

// Location is how a set of paths is handled.
type Location struct {
	Path   string // as written, without the modifier
	Prefix bool   // the path is a prefix: proxy_pass may replace it
	Rules  *Rules // as of a server; may be nil
	// Pattern is its path, where that is a regular expression.
	Pattern *route.Pattern
	// Outer are the expressions of the locations around that have named groups, the outermost first.
	Outer  []*route.Pattern
	Except *LimitExcept // may be nil
	phases uint8        // those with something to do (bits 1<<phase): see findPhases
	// Internal says that only requests that come from within may enter it.
	Internal bool
	Proxy    *Proxy // where requests are passed; may be nil

	// Rates are asked first, then Limits, which hold for the request; both may be nil.
	Rates  *Rates
	Limits *Limits
	// Access is who may come in; nil: everybody. RealIP says who speaks for clients; nil: nobody.
	Access *Access
	RealIP *RealIP
	// Mirror is where copies of its requests go; nil: nowhere. LogSubrequest is log_subrequest.
	Mirror        *Mirror
	LogSubrequest bool
	// RetryAfter is limit_retry_after.
	RetryAfter bool
	// StubStatus answers with nginx's status page.
	StubStatus bool
	Judge      *Judge   // may be nil
	EmptyGIF   bool     // empty_gif
	Filters    *Filters // what is changed in bodies; nil: nothing
	// Packed is when a file x.gz is sent in the place of x (gzip_static); nil: never. PackedAlways: to all, and the conditions do not matter.
	Packed       *Gzip
	PackedAlways bool
	// Types give the Content-Type of files, and of texts that return answers with.
	Types *static.Types
	// Files is how it answers with files where nothing else does, TryFiles what is looked for before; both may be nil.
	Files    *Files
	TryFiles *TryFiles
	Expires  *ExpiresRule // may be nil
	// Page is what it answers with, where that is made by package worker; may be nil.
	Page *Page

	KeepaliveTimeoutMs int64    // keepalive_timeout; 0: connections are not kept
	KeepaliveTimeMs    int64    // keepalive_time
	KeepaliveRequests  uint32   // keepalive_requests
	KeepaliveDisable   Browsers // keepalive_disable
	BodyTimeoutMs      int64    // client_body_timeout
	BodyBlocks         int      // client_body_buffer_size, in blocks; at least 2
	BodyBuffer         int64    // client_body_buffer_size
	BodyFile           BodyFile // client_body_in_file_only
	SendTimeoutMs      int64    // send_timeout
	ShutdownMs         int64    // worker_shutdown_timeout; 0: no bound
	LimitRate          Size     // limit_rate: bytes per second to the client; 0: no limit
	LimitRateAfter     Size     // limit_rate_after
	MaxBody            int64    // client_max_body_size; 0: not checked

	Linger          Linger // lingering_close
	LingerTimeMs    int64  // lingering_time
	LingerTimeoutMs int64  // lingering_timeout

	// WarnUninitialized is uninitialized_variable_warn.
	WarnUninitialized bool
	// RecursivePages is recursive_error_pages.
	RecursivePages       bool
	RelativeRedirect     bool // absolute_redirect = false
	NoPortInRedirect     bool // port_in_redirect = false
	ServerNameInRedirect bool // server_name_in_redirect

	KeepAliveField string // the line "Keep-Alive", or nothing
	NoChunks       bool   // chunked_transfer_encoding is off
	ResetTimedOut  bool   // reset_timedout_connection
	PadPages       bool   // msie_padding
	Refresh        bool   // msie_refresh
	ServerLine     string // made by ServerLine, or nothing
	AddHeaders     []AddHeader
	AddTrailers    []AddHeader      // add_trailer
	EarlyHints     []*vars.Template // early_hints: one of them has to be true; nil: 103 is always passed on
	ErrorPages     []ErrorPage
	ErrorLog       *logfile.ErrorLog // for lines about requests; nil: the engine's
	Logs           []Log             // access logs
}

// Size is a number of bytes that may depend on the request.
type Size struct {
	Bytes    int64          // unless there is a template
	Template *vars.Template // gives a size such as "16k" for each request; nil: Bytes
}

// BodyFile says what becomes of the files of request bodies.
type BodyFile uint8

// The settings of client_body_in_file_only.
const (
	BodyFileNone  BodyFile = iota // bodies are in files as far as memory does not do, and those have no names
	BodyFileKeep                  // all bodies are in files, which stay ("on")
	BodyFileClean                 // all bodies are in files, which go with their requests
)

// Linger says when a client's connection is read to its end before it is closed.
type Linger uint8

// The settings of lingering_close.
const (
	LingerOff Linger = iota
	LingerOn         // when it looks likely that more is coming
	LingerAlways
)

// Return is the answer of a return directive.
type Return struct {
	Code int
	Text *vars.Template // body; nil: none
	URL  *vars.Template // redirect; nil: none
}

// AddHeader is a field added to responses, or behind them.
type AddHeader struct {
	SetHeader
	Always   bool // with every status
	Replaces bool // the response's own field of that name, which it takes the place of: Last-Modified and ETag
}

// ErrorPage is what is shown for some status codes.
type ErrorPage struct {
	Codes []int
	// Exactly one of these is set.
	URI  *vars.Template // gives a path or "@name", for an internal redirect, or an address, for one of the client
	Text *vars.Template // the body
	// Response is the code to answer with; -1: the one that led here, 0: that of what handles the URI.
	Response int
}

// Log is one access log.
type Log struct {
	Writer   *logfile.Writer
	Syslog   *logfile.Syslog     // where Writer is nil
	Files    *logfile.NamedFiles // where both are nil: then Path is the file's name
	Path     *vars.Template
	Cache    *logfile.FileCache // of Files; may be nil
	Template *Text
	If       *vars.Template // "0" or empty: no line; nil: always one
}

// Proxy is how requests of a location are passed on.
type Proxy struct {
	Group     *upstream.Group
	Authority string // $proxy_host
	Port      string // $proxy_port
	// Target is the whole of proxy_pass when that has variables: then Group is nil, and what stands above and below is worked out for each request. Resolver finds its
	// hosts; nil: only groups and addresses are possible.
	Target   *vars.Template
	Resolver *resolver.Resolver
	// HasURI says that URI replaces the part of the path that the location matched.
	HasURI bool
	URI    string

	ConnectTimeoutMs int64 // proxy_connect_timeout
	ReadTimeoutMs    int64 // proxy_read_timeout: between two reads
	SendTimeoutMs    int64 // proxy_send_timeout: between two writes

	HTTP10 bool // requests are HTTP/1.0

	Buffering       bool  // proxy_buffering
	Blocks          int   // most blocks that one response may hold (proxy_buffers)
	BusyBytes       int   // most bytes in them that wait for the client before further ones go to the file (proxy_busy_buffers_size)
	FirstPartBytes  int   // proxy_buffer_size
	SpillMax        int64 // largest temporary file (proxy_max_temp_file_size); 0: none
	SpillWrite      int   // bytes written to it at a time (proxy_temp_file_write_size)
	LimitRate       Size  // proxy_limit_rate: bytes per second from the origin; 0: no limit
	IgnoreBuffering bool  // X-Accel-Buffering is not acted on (proxy_ignore_headers)
	IgnoreLimitRate bool  // nor X-Accel-Limit-Rate
	IgnoreRedirect  bool  // nor X-Accel-Redirect
	IgnoreCharset   bool  // nor X-Accel-Charset

	Limits           http1.Limits // of response heads
	RequestBuffering bool

	// SetHeaders are the fields that the config sets, Host among them.
	SetHeaders     []SetHeader
	SetsConnection bool // Connection is among them
	AsksToKeep     bool // and says keep-alive: with HTTP/1.0, that is what has connections kept
	SetsUpgrade    bool // and Upgrade
	// Overridden are the fields of the client's that SetHeaders replaces: known ones as a set, others by name in lower case.
	Overridden      FieldSet
	OverriddenOther []string
	// Hidden are the fields of a response that are not passed on.
	Hidden      FieldSet
	HiddenOther []string
	// Particular are the fields of a response that cannot simply be copied: see Finish.
	Particular FieldSet
	PassDate   bool
	PassServer bool
	Ranges     bool // parts of responses are given to clients that ask for them (proxy_force_ranges)
	Trailers   bool // the trailer fields of a response are passed on (proxy_pass_trailers)

	Redirects []Redirect // proxy_redirect, in order
	Cookies   *Cookies   // proxy_cookie_*; nil: none

	Method     *vars.Template // proxy_method; nil: the client's
	SetBody    *vars.Template // proxy_set_body; nil: the client's
	DropBody   bool           // the client's body is read, and not sent: proxy_pass_request_body, or SetBody
	DropFields bool           // the client's fields are not sent (proxy_pass_request_headers)
	Dial       *Dial          // how connections are made; nil: as any other
	OwnConns   bool           // they are not kept, nor are kept ones used: each is for one request (proxy_protocol)

	Next            Next  // proxy_next_upstream
	NextTries       int   // most attempts; 0: no limit
	NextTimeoutMs   int64 // time for them; 0: no limit
	InterceptErrors bool  // proxy_intercept_errors
	IgnoreAbort     bool  // proxy_ignore_client_abort
}

// Finish works out what follows from the other settings. Call it once they are all there.
func (p *Proxy) Finish() {
	p.Particular = p.Hidden
	if len(p.HiddenOther) > 0 {
		p.Particular.Add(http1.FieldOther)
	}
	if len(p.Redirects) > 0 {
		p.Particular.Add(http1.FieldLocation)
		p.Particular.Add(http1.FieldRefresh)
	}
	if p.Ranges {
		p.Hidden.Add(http1.FieldAcceptRanges)
		p.Particular.Add(http1.FieldAcceptRanges)
	}
	if p.Cookies != nil {
		p.Particular.Add(http1.FieldSetCookie)
	}
	if p.Target == nil {
		for i := range p.SetHeaders {
			p.SetHeaders[i].prepare(p.variable)
		}
	}
}

// variable is getter for a location whose $proxy_host and $proxy_port are always the same.
func (p *Proxy) variable(id vars.ID, arg string) vars.Getter[*Request] {
	switch id {
	case vars.ProxyHost:
		return vars.Getter[*Request]{Constant: p.Authority}
	case vars.ProxyPort:
		return vars.Getter[*Request]{Constant: p.Port}
	}
	return getter(id, arg)
}

// SetHeader is a field that the config sets. Make it with NewSetHeader.
type SetHeader struct {
	Name  string
	Value *Text

	template *vars.Template // what Value was made of
	line     string         // the name, the colon and the space; with the value and the end of the line, where that is always the same
	constant bool           // it is
	unclean  bool           // a variable in the value may hold bytes that a field cannot, or ask for the fields before this one
}

// NewSetHeader makes a field of a name, which must be a token, and a value.
func NewSetHeader(name string, value *vars.Template) SetHeader {
	_, unclean := value.Beyond(cleanVariables...)
	h := SetHeader{Name: name, template: value, unclean: unclean}
	h.prepare(getter)
	return h
}

// prepare makes what is rendered of the template. A constant may not be unclean, and not be empty: then there is no field.
func (h *SetHeader) prepare(getter func(vars.ID, string) vars.Getter[*Request]) {
	h.Value = vars.Bind(h.template, getter)
	h.line = h.Name + ": "
	if text, constant := h.Value.Constant(); constant && text != "" && !h.unclean {
		h.line, h.constant = h.line+text+"\r\n", true
	}
}

// cleanVariables cannot hold what ends a line: they are made by weir, or are parts of a head that the parser has passed. Read-only.
var cleanVariables = []vars.ID{vars.RemoteAddr, vars.RemotePort, vars.ServerAddr, vars.ServerPort, vars.ServerProtocol, vars.Scheme, vars.HTTPS,
	vars.Host, vars.RequestID, vars.TraceParent, vars.TraceState, vars.HTTPField, vars.UpstreamHTTPField, vars.ProxyHost, vars.ProxyPort, vars.ProxyAddXForwardedFor,
	vars.Msec, vars.TimeLocal, vars.TimeISO8601, vars.PID, vars.Connection, vars.ConnectionRequests, vars.LimitConnStatus}

// Next is a set of reasons to pass a request to the next origin.
type Next uint16

// The reasons, as proxy_next_upstream names them.
const (
	NextError Next = 1 << iota
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
	NextDenied // by proxy_allow_upstream, which there is not: it never happens
)

// nextByStatus is the reason that an origin's status can be.
func nextByStatus(status int) Next {
	switch status {
	case 500:
		return NextHTTP500
	case 502:
		return NextHTTP502
	case 503:
		return NextHTTP503
	case 504:
		return NextHTTP504
	case 403:
		return NextHTTP403
	case 404:
		return NextHTTP404
	case 429:
		return NextHTTP429
	}
	return 0
}

// singular are the fields of a response of which only the first is passed on, as nginx does: what follows would contradict it, or say it again.
const singular FieldSet = 1<<http1.FieldContentType | 1<<http1.FieldContentEncoding | 1<<http1.FieldDate | 1<<http1.FieldETag | 1<<http1.FieldExpires |
	1<<http1.FieldLastModified | 1<<http1.FieldLocation | 1<<http1.FieldRefresh | 1<<http1.FieldServer

// FieldSet is a set of known header fields.
type FieldSet uint64

// Add puts a field into the set.
func (s *FieldSet) Add(id http1.FieldID) { *s |= 1 << id }

// Remove takes a field out of the set.
func (s *FieldSet) Remove(id http1.FieldID) { *s &^= 1 << id }

// Has says whether the field is in the set.
func (s FieldSet) Has(id http1.FieldID) bool { return s>>(id&63)&1 != 0 }
