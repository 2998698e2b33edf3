// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import "time"

// HTTP is the [http] table.
type HTTP struct {
	ServerSettings
	Settings

	// Named forms of access log lines: NAME = 'template' or NAME = { format = 'template', escape = "json" }. The format "combined" is predefined.
	LogFormats []LogFormat `toml:"log_format"`

	// Named zones of shared memory in which connections are counted, for limit_conn.
	LimitConnZones []LimitConnZone `toml:"limit_conn_zone"`

	// Named zones of shared memory in which rates of requests are kept, for limit_req.
	LimitReqZones []LimitReqZone `toml:"limit_req_zone"`

	// Variables whose value follows from a text.
	Maps []Map `toml:"map"`

	// Variables whose value follows from an address.
	Geos []Geo `toml:"geo"`

	// Variables that divide requests into parts of given sizes.
	Splits []SplitClients `toml:"split_clients"`

	// How charsets become others, for charset.
	CharsetMaps []CharsetMap `toml:"charset_map"`

	// Named groups of origins, for proxy_pass = "http://NAME".
	Upstreams []Upstream `toml:"upstream"`

	// Virtual servers.
	Servers []Server `toml:"server"`
}

// ServerSettings are the settings of [http] that a server inherits, but that a location cannot change, because they are needed
// before a request's location is known.
type ServerSettings struct {
	// How long a client may take to send a whole request head, from its first byte to its last. Then 408.
	ClientHeaderTimeout time.Duration `toml:"client_header_timeout" default:"60s" min:"1ms" max:"365d"`

	// Bytes of a request head that are read without taking one of the large buffers.
	ClientHeaderBufferSize Size `toml:"client_header_buffer_size" default:"1k" min:"64" max:"1m"`

	// Number and size of the buffers for a large request head. A request line longer than one buffer is answered with 414, a header field
	// longer than one, or a head longer than all, with 400.
	LargeClientHeaderBuffers NumberSize `toml:"large_client_header_buffers" default:"{ number = 4, size = '8k' }"`

	// Whether several slashes in a row in a path are taken for one.
	MergeSlashes bool `toml:"merge_slashes" default:"true"`

	// Size of the pieces that a connection's own memory is taken in, while it has a request: heads that have been moved out of a block while
	// memory is short. What is larger gets memory of its own, as a head that has outgrown a block does. Where several servers listen on
	// an address, that of its default server holds.
	ConnectionPoolSize Size `toml:"connection_pool_size" default:"512" min:"64" max:"1m"`

	// Size of the pieces that a request's own memory is taken in: rewritten paths and values, answers of weir's own. What is larger gets memory of its own.
	// Where several servers listen on an address, that of its default server holds.
	RequestPoolSize Size `toml:"request_pool_size" default:"4k" min:"64" max:"1m"`

	HeadSettings
}

// Settings are inherited http -> server -> location: a level that does not name a key has its parent's value. Lists and tables are
// inherited as a whole, never merged: naming proxy_set_header at one level drops all that the parent set.
type Settings struct {
	// How long an idle client connection is kept open for another request. 0: closed after each response.
	KeepaliveTimeout time.Duration `toml:"keepalive_timeout" default:"75s" max:"365d"`

	// Requests served on one client connection; then it is closed. 0: as 1.
	KeepaliveRequests int `toml:"keepalive_requests" default:"1000" max:"2147483647"`

	// Age at which a client connection is closed after the response to its request.
	KeepaliveTime time.Duration `toml:"keepalive_time" default:"1h" min:"1ms" max:"365d"`

	// Browsers whose connections are closed after a response because they cannot be trusted to keep them: "msie6" stands for old versions of MSIE, once they have
	// made a POST, "safari" for Safari and its like on a Mac; "none" alone: all are kept.
	KeepaliveDisable []string `toml:"keepalive_disable" default:"['msie6']"`

	// How long a client may be silent between two reads of its request body. Then 408.
	ClientBodyTimeout time.Duration `toml:"client_body_timeout" default:"60s" min:"1ms" max:"365d"`

	// How long a client may take nothing between two writes of a response. Then the connection is closed.
	SendTimeout time.Duration `toml:"send_timeout" default:"60s" min:"1ms" max:"365d"`

	// Bytes per second of a response, head and body, that are sent to the client, per request. 0: no limit. May have variables. The field
	// X-Accel-Limit-Rate of an origin's response takes its place.
	LimitRate SizeTemplate `toml:"limit_rate" default:"0"`

	// Bytes of a response after which limit_rate begins to hold. May have variables.
	LimitRateAfter SizeTemplate `toml:"limit_rate_after" default:"0"`

	// Bytes of a request's body that are kept in memory, in whole blocks and at least two, while it is read before an origin is asked
	// (proxy_request_buffering). What is more goes to a temporary file.
	ClientBodyBufferSize Size `toml:"client_body_buffer_size" default:"16k" min:"1" max:"1g"`

	// Whether every body that is read before an origin is asked is in a file of its own, under temp_path, whose name is $request_body_file: "on" leaves the files there,
	// "clean" takes each away with its request.
	ClientBodyInFileOnly BodyInFile `toml:"client_body_in_file_only" default:"off"`

	// Largest request body. A larger one is answered with 413. 0: not checked.
	ClientMaxBodySize Size `toml:"client_max_body_size" default:"1m"`

	// Whether more data of a client is read and dropped before its connection is closed, so that it gets to read the response: when it looks
	// likely that more is coming ("on"), "always", or never ("off").
	LingeringClose Lingering `toml:"lingering_close" default:"on"`

	// How long in all data is read and dropped while lingering.
	LingeringTime time.Duration `toml:"lingering_time" default:"30s" max:"1h"`

	// How long to wait for more data while lingering.
	LingeringTimeout time.Duration `toml:"lingering_timeout" default:"5s" max:"1h"`

	// Access logs, each with a line per request. false: none.
	AccessLogs []AccessLog `toml:"access_log" default:"[{ path = 'logs/access.log' }]" off:"true"`

	// Files of access_log with variables in their names that are kept open: the most, and when they are closed. 0: none.
	OpenLogFileCache LogFileCache `toml:"open_log_file_cache" default:"{ max = 0 }" example:"{ max = 1000, inactive = '20s', valid = '1m', min_uses = 2 }"`

	// Error logs of what happens with requests, in place of the main error_log: each gets lines of its own level. Their form is the main one's.
	ErrorLogs []RequestErrorLog `toml:"error_log" default:"[]" example:"['logs/site.error.log']"`

	// Whether the version is named in the field Server and on error pages; or a text that stands there in its place. "": there is no such field.
	ServerTokens ServerTokens `toml:"server_tokens" default:"on"`

	// How long a connection to an origin may take to be established.
	ProxyConnectTimeout time.Duration `toml:"proxy_connect_timeout" default:"60s" min:"1ms" max:"365d"`

	// How long an origin may be silent between two reads of its response.
	ProxyReadTimeout time.Duration `toml:"proxy_read_timeout" default:"60s" min:"1ms" max:"365d"`

	// How long an origin may take nothing between two writes of a request.
	ProxySendTimeout time.Duration `toml:"proxy_send_timeout" default:"60s" min:"1ms" max:"365d"`

	// Whether a response is read from the origin as fast as buffers allow (true), or passed on synchronously as it arrives (false).
	ProxyBuffering bool `toml:"proxy_buffering" default:"true"`

	// Number and size of the buffers for one response: together they are the memory for what has been read and not yet been sent.
	ProxyBuffers NumberSize `toml:"proxy_buffers" default:"{ number = 8, size = '16k' }" as:"nginx; its size is a memory page"`

	// Bytes of a response in memory that wait for a slow client; what comes behind them goes to a temporary file. 0: twice the larger of
	// proxy_buffer_size and one of proxy_buffers.
	ProxyBusyBuffersSize Size `toml:"proxy_busy_buffers_size" default:"0" max:"1g"`

	// How large the temporary file of one response may grow. When it is full, the origin is read as fast as the client takes. 0: no file.
	ProxyMaxTempFileSize Size `toml:"proxy_max_temp_file_size" default:"1g"`

	// Bytes that are written to a temporary file at a time. 0: twice the larger of proxy_buffer_size and one of proxy_buffers.
	ProxyTempFileWriteSize Size `toml:"proxy_temp_file_write_size" default:"0" max:"1g"`

	// Bytes per second that are read of an origin's response, per request. Only with buffering. 0: no limit. May have variables.
	ProxyLimitRate SizeTemplate `toml:"proxy_limit_rate" default:"0"`

	// Fields of an origin's response that are not acted on: X-Accel-Redirect, X-Accel-Buffering, X-Accel-Limit-Rate, X-Accel-Charset. The other names
	// that nginx has here (X-Accel-Expires, Expires, Cache-Control, Set-Cookie, Vary) are about its cache, and without effect.
	ProxyIgnoreHeaders []string `toml:"proxy_ignore_headers" example:"['X-Accel-Buffering']"`

	// Size of the buffer for the first part of a response: its head must fit.
	ProxyBufferSize Size `toml:"proxy_buffer_size" default:"16k" min:"1" max:"1m" as:"nginx; its default is a memory page"`

	// Whether a request body is read completely before an origin is asked (true), or sent on as it arrives (false; such a request cannot be
	// passed to a next origin once part of its body is sent).
	ProxyRequestBuffering bool `toml:"proxy_request_buffering" default:"true"`

	// HTTP version of requests to origins. With "1.0" no origin connection is kept alive.
	ProxyHTTPVersion HTTPVersion `toml:"proxy_http_version" default:"1.1"`

	// Fields set in requests to origins: NAME = "template". A field with an empty value is not sent. Host is set to $proxy_host unless it is named here.
	ProxySetHeader []Header `toml:"proxy_set_header" example:"{ X-Real-IP = '$remote_addr' }"`

	// Fields of an origin's response that are not passed to the client, besides Date, Server and X-Accel-*.
	ProxyHideHeader []string `toml:"proxy_hide_header" example:"['X-Powered-By']"`

	// Fields of an origin's response that are passed to the client although they are hidden by default.
	ProxyPassHeader []string `toml:"proxy_pass_header" example:"['Server']"`

	// Changes to the fields Location and Refresh of an origin's response: "default", "off", or a list of "default" and { from, to }; the first that
	// fits is used. A from with "~" or "~*" in front is a regular expression; any other is the beginning that is replaced. "default" replaces the
	// address in proxy_pass by the location's path.
	ProxyRedirect Redirects `toml:"proxy_redirect" default:"default"`

	// When a request is passed to the next origin.
	ProxyNextUpstream NextUpstream `toml:"proxy_next_upstream" default:"['error', 'timeout']"`

	// Origins tried for one request. 0: no limit.
	ProxyNextUpstreamTries int `toml:"proxy_next_upstream_tries" default:"0" max:"1024"`

	// How long a request may be passed on to next origins. 0: no limit.
	ProxyNextUpstreamTimeout time.Duration `toml:"proxy_next_upstream_timeout" default:"0" max:"365d"`

	// Whether an origin's response with a code of 300 or more goes through error_page.
	ProxyInterceptErrors bool `toml:"proxy_intercept_errors" default:"false"`

	// Whether a request to an origin is finished when its client has gone.
	ProxyIgnoreClientAbort bool `toml:"proxy_ignore_client_abort" default:"false"`

	// What is shown for errors.
	ErrorPages []ErrorPage `toml:"error_page"`

	// Fields added to responses with the codes 200, 201, 204, 206, 301, 302, 303, 304, 307 and 308, or to all: NAME = "template" or
	// NAME = { value = "template", always = true }. A field with an empty value is not sent.
	AddHeader []AddHeader `toml:"add_header" example:"{ X-Frame-Options = { value = 'DENY', always = true } }"`

	// Requests that may be in progress at once for each key of a zone, counted from the end of a request's head to the end of its response. With more
	// than one limit a request needs a place under each. []: none. See docs/limits.md.
	LimitConns []LimitConn `toml:"limit_conn" example:"[{ zone = 'addr', max = 10 }]"`

	// Status code for a request over a limit.
	LimitConnStatus int `toml:"limit_conn_status" default:"503" min:"400" max:"599"`

	// Level at which a refusal by a limit is logged, in a dry run too.
	LimitConnLogLevel LimitLevel `toml:"limit_conn_log_level" default:"error"`

	// Whether a request over a limit is only logged, and let through uncounted.
	LimitConnDryRun bool `toml:"limit_conn_dry_run" default:"false"`

	// Clients that are not counted and not refused: addresses and networks.
	LimitConnBypass []Network `toml:"limit_conn_bypass" example:"['192.0.2.7', '10.0.0.0/8', '2001:db8::/32']" as:"weir"`

	LimitReqSettings
	AccessSettings
	ClientSettings
	FileSettings
	ResolverSettings
	ProxySettings
	RewriteSettings
	EncodingSettings
	JudgeSettings
	FilterSettings
}

// LimitConn is a limit on the connections of each key of a zone.
type LimitConn struct {
	// Name of a limit_conn_zone.
	Zone string `toml:"zone" required:"true"`

	// The most connections that one key may have at once.
	Max int `toml:"max" required:"true" min:"1" max:"65535" example:"10"`

	// Requests of one key that wait for a place, rather than be refused at once: how many, and how long. Absent: none waits.
	Queue *Queue `toml:"queue" example:"{ size = 100, timeout = '60s' }" as:"weir"`

	// ZoneIndex is Zone as an index in HTTP.LimitConnZones.
	ZoneIndex int `toml:"-"`
}

// LimitConnZone is one [http.limit_conn_zone.NAME]: shared memory in which connections are counted by key, over all workers.
type LimitConnZone struct {
	// Name of the zone: 1 to 64 letters, digits, "_" and "-".
	Name string `toml:"name" key:"true"`

	// What connections are counted by, at most 256 bytes. A request for which it is empty is not counted.
	Key Template `toml:"key" required:"true" example:"$binary_remote_addr_prefix"`

	// Size of the zone; whole pages of 4k are used. `weir -t` says how many keys fit.
	Size Size `toml:"size" required:"true" min:"32k" max:"4095m" example:"10m"`

	// What happens to a connection that the zone has no room for: it is refused as if over the limit, or let through uncounted.
	OnFull OnFull `toml:"on_full" default:"reject" as:"weir; nginx rejects"`
}

// LogFormat is one named form of access log lines.
type LogFormat struct {
	// Name of the format.
	Name string `toml:"name" key:"true"`

	// Text with variables, one line.
	Format Template `toml:"format" short:"true" required:"true"`

	// How characters of variables are escaped: as \xXX ("default"), as in JSON strings, or not at all.
	Escape Escape `toml:"escape" default:"default"`
}

// AccessLog is one access log.
type AccessLog struct {
	// File, "stdout" or "stderr". The master opens it and passes it on to the workers. Or "syslog:server=ADDRESS[,facility=F][,severity=S][,tag=T][,nohostname]": a syslog server, by
	// the address of its UDP socket or "unix:PATH". Or a file whose name has variables: it is opened by a worker, with the rights that that has, for each line
	// (open_log_file_cache), if the request's root is there.
	Path Template `toml:"path" path:"true" short:"true" required:"true"`

	// Name of a log_format.
	Format string `toml:"format" default:"combined"`

	// Lines are collected up to this many bytes and written together. 0: each line at once.
	Buffer Size `toml:"buffer" default:"0" max:"16m"`

	// Age at which collected lines are written. 0: only when the buffer is full. Needs a buffer.
	Flush time.Duration `toml:"flush" default:"0" max:"1d"`

	// A request for which this is "0" or empty has no line. May have variables.
	If Template `toml:"if" example:"$loggable"`
}

// LogFileCache is what open_log_file_cache keeps.
type LogFileCache struct {
	// The most files of one worker; the one that was used longest ago is closed.
	Max int `toml:"max" default:"0" max:"100000" short:"true"`

	// How long a file stays open that is not written to.
	Inactive time.Duration `toml:"inactive" default:"10s" min:"1ms" max:"365d"`

	// How often it is looked whether the file still has its name.
	Valid time.Duration `toml:"valid" default:"60s" max:"365d"`

	// How often a file has to be used within the time of inactive to be kept open.
	MinUses int `toml:"min_uses" default:"1" min:"1" max:"1000000000"`
}

// RequestErrorLog is an error log for lines about requests.
type RequestErrorLog struct {
	// File, "stderr", or a syslog server as in the main error_log.
	Path string `toml:"path" path:"true" short:"true" required:"true"`

	// The least severe level that is logged.
	Level Level `toml:"level" default:"error"`
}

// Header is a header field to send.
type Header struct {
	// Name of the field.
	Name string `toml:"name" key:"true"`

	// Text with variables.
	Value Template `toml:"value" short:"true" required:"true"`
}

// AddHeader is a header field to add to responses.
type AddHeader struct {
	// Name of the field.
	Name string `toml:"name" key:"true"`

	// Text with variables.
	Value Template `toml:"value" short:"true" required:"true"`

	// Whether it is added to responses of every code.
	Always bool `toml:"always" default:"false"`
}

// ErrorPage says what is shown for some status codes: exactly one of URI and Text is set.
type ErrorPage struct {
	// Status codes, 300 to 599.
	Codes []int `toml:"codes" required:"true" min:"300" max:"599"`

	// A path: handled as a request for it; a named location "@name"; or an address "http://...": a redirect with 302, or the response code. May have variables.
	URI Template `toml:"uri"`

	// The body of the answer, in place of uri. May have variables.
	Text Template `toml:"text"`

	// Status code to answer with. -1: the one that led here; 0: the one that handling the uri gives.
	Response int `toml:"response" default:"-1" min:"-1" max:"599" as:"nginx error_page's =response"`
}

// NumberSize is a number of buffers of one size.
type NumberSize struct {
	// How many.
	Number int `toml:"number" min:"1" max:"4096" required:"true"`

	// How large each is.
	Size Size `toml:"size" min:"256" max:"1m" required:"true"`
}
