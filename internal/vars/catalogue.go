// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package vars

// NginxRelease is the nginx whose documentation weir follows.
const NginxRelease = "1.31.0"

// Variable is one entry of the catalogue.
type Variable struct {
	Name string // without "$"; a family's prefix, such as "http_"
	ID   ID     // what a Source is asked for; two names may share one
	Doc  string // one sentence for docs/variables.md

	plain bool // never needs escaping: see plainIDs
}

// Catalogue returns every variable that a template can name, in the order of the reference, and
// then the families (names that end in "_"). The caller owns the slice. Captures are not in it, nor
// is the family $binary_remote_addr_V4_V6, whose one ID stands under $binary_remote_addr_prefix.
func Catalogue() []Variable {
	all := make([]Variable, 0, len(catalogue)+len(families))
	all = append(all, catalogue[:]...)
	return append(all, families[:]...)
}

// catalogue is every variable with a name of its own. Read-only.
var catalogue = [...]Variable{
	{"remote_addr", RemoteAddr, "client's address in text; `unix:` for a unix socket", true},
	{"remote_port", RemotePort, "client's port", true},
	{"binary_remote_addr", BinaryRemoteAddr, "client's address in network order, 4 bytes for IPv4 and 16 for IPv6: a short key for limits", false},
	{"binary_remote_addr_prefix", BinaryRemoteAddrPrefix, "client's address in network order as a key for limits: for IPv4 all 4 bytes, for IPv6 16 bytes of which those behind the /64 are zero; empty for a unix socket", false},
	{"realip_remote_addr", RealIPRemoteAddr, "address of the peer itself, where `set_real_ip_from` has changed `$remote_addr`", true},
	{"realip_remote_port", RealIPRemotePort, "port of the peer itself, likewise", true},
	{"proxy_protocol_addr", ProxyProtocolAddr, "client's address in the header of the PROXY protocol", true},
	{"proxy_protocol_port", ProxyProtocolPort, "client's port in it", true},
	{"proxy_protocol_server_addr", ProxyProtocolServerAddr, "server's address in it", true},
	{"proxy_protocol_server_port", ProxyProtocolServerPort, "server's port in it", true},
	{"remote_user", RemoteUser, "user name of `Authorization: Basic`; not checked against anything", false},
	{"server_addr", ServerAddr, "address that accepted the request; `unix:` and the path of a unix socket", false},
	{"server_port", ServerPort, "port that accepted the request", true},
	{"server_name", ServerName, "first `server_name` of the server that handles the request", false},
	{"server_protocol", ServerProtocol, "`HTTP/1.0` or `HTTP/1.1`, as the client sent it", true},
	{"scheme", Scheme, "`http` or `https`", true},
	{"https", HTTPS, "`on` on a TLS connection, otherwise empty", true},
	{"host", Host, "host of the request line, else of the Host field, else `$server_name`; lower case, without port", false},
	{"request_port", RequestPort, "port in the request line, else in the Host field", true},
	{"is_request_port", IsRequestPort, "`:` if `$request_port` is not empty, otherwise empty", true},
	{"hostname", Hostname, "name of this machine", false},
	{"request", Request, "full request line as received", false},
	{"request_method", RequestMethod, "method, such as `GET`", false},
	{"request_uri", RequestURI, "request target as received, with arguments", false},
	{"uri", URI, "path in use: decoded, normalized, without arguments", false},
	{"document_uri", URI, "the same as `$uri`", false},
	{"args", Args, "arguments of the request target: what follows `?`", false},
	{"query_string", Args, "the same as `$args`", false},
	{"is_args", IsArgs, "`?` if there are arguments, otherwise empty", true},
	{"document_root", DocumentRoot, "value of `root` or `alias` for the request", false},
	{"realpath_root", RealpathRoot, "the same with all symbolic links resolved", false},
	{"request_filename", RequestFilename, "name of the file that the request is about, by `root` or `alias` and `$uri`", false},
	{"request_length", RequestLength, "bytes of the request: line, head and body", true},
	{"request_time", RequestTime, "seconds, with milliseconds, since the first byte of the request was read", true},
	{"limit_rate", LimitRate, "bytes per second that are sent to the client, 0 for no limit; `set` may change it", true},
	{"invalid_referer", InvalidReferer, "`1` if the field Referer is none of `valid_referers`, otherwise empty", true},
	{"secure_link", SecureLink, "what is to be thought of the link: with `secure_link` and `secure_link_md5` `1`, or `0` when its time is over, with `secure_link_secret` the link itself; no value when the checksum is wrong", false},
	{"secure_link_expires", SecureLinkExpires, "time until which the link is good, as `secure_link` has it", false},
	{"modern_browser", ModernBrowser, "`modern_browser_value` for a browser of `modern_browser`, otherwise empty", false},
	{"ancient_browser", AncientBrowser, "`ancient_browser_value` for a browser that is not modern, otherwise empty", false},
	{"msie", MSIE, "`1` for a browser that is any version of MSIE, otherwise empty", true},
	{"limit_conn_status", LimitConnStatus, "what came of `limit_conn`: `PASSED`, `QUEUED` while the request waits for a place and when it has had one after waiting, `REJECTED`, `REJECTED_DRY_RUN`, `BYPASSED` for a client in `limit_conn_bypass`, or `DAMAGED` while a damaged zone is made anew; no value where there is no limit, or none was asked yet", true},
	{"limit_req_status", LimitReqStatus, "what came of `limit_req`: `PASSED`, `DELAYED`, `REJECTED`, `DELAYED_DRY_RUN` or `REJECTED_DRY_RUN`; no value where there is no rate, or none was asked yet", true},
	{"request_completion", RequestCompletion, "`OK` if the response was sent completely, otherwise empty", true},
	{"request_id", RequestID, "16 random bytes that name the request, as 32 hexadecimal digits", true},
	{"traceparent", TraceParent, "the client's `traceparent` (W3C Trace Context) if it is valid; otherwise a new one, whose trace is `$request_id`, with the flag that it is sampled", true},
	{"tracestate", TraceState, "the client's `tracestate`, if its `traceparent` is valid", false},
	{"content_length", ContentLength, "request's Content-Length field", false},
	{"content_type", ContentType, "request's Content-Type field", false},
	{"request_body", RequestBody, "request's body, once it has been read for `proxy_pass` and if it is in memory as a whole; bodies are kept for it until the request is logged", false},
	{"request_body_file", RequestBodyFile, "file that the request's body is in: one that is larger than `client_body_buffer_size`, or any with `client_body_in_file_only`", false},
	{"status", Status, "status code of the response; `000` if none was sent", true},
	{"body_bytes_sent", BodyBytesSent, "bytes of the body sent to the client, without the head", true},
	{"bytes_sent", BytesSent, "bytes sent to the client, head and body", true},
	{"gzip_ratio", GzipRatio, "how many times smaller `gzip` has made the body, with two decimals", true},
	{"connection", Connection, "serial number of the client's connection", true},
	{"connection_requests", ConnectionRequests, "requests made so far on this connection, this one included", true},
	{"connection_time", ConnectionTime, "seconds, with milliseconds, since the connection was accepted", true},
	{"connections_active", ConnectionsActive, "open client connections of the whole instance, waiting ones included", true},
	{"connections_reading", ConnectionsReading, "of these, those that a request head is being read from", true},
	{"connections_writing", ConnectionsWriting, "of these, those with a request in progress", true},
	{"connections_waiting", ConnectionsWaiting, "of these, those that are idle", true},
	{"tcpinfo_rtt", TCPInfoRTT, "round trip time of the client's TCP connection, in microseconds, as the kernel estimates it (TCP_INFO)", true},
	{"tcpinfo_rttvar", TCPInfoRTTVar, "how much it varies, likewise", true},
	{"tcpinfo_snd_cwnd", TCPInfoSndCwnd, "congestion window, in segments, likewise", true},
	{"tcpinfo_rcv_space", TCPInfoRcvSpace, "room for what is received, in bytes, likewise", true},
	{"pipe", Pipe, "`p` if the request was pipelined, otherwise `.`", true},
	{"msec", Msec, "time in seconds since 1970, with milliseconds", true},
	{"time_local", TimeLocal, "local time as common logs have it: `21/Nov/2026:22:50:15 +0000`", true},
	{"time_iso8601", TimeISO8601, "local time after ISO 8601: `2026-11-21T22:50:15+00:00`", true},
	{"pid", PID, "process id of the worker", true},
	{"weir_version", WeirVersion, "version of weir", false},
	{"nginx_version", NginxVersion, "version of nginx whose documentation weir follows", true},
	{"proxy_host", ProxyHost, "host and port of the origin as `proxy_pass` names it", false},
	{"proxy_port", ProxyPort, "port of the origin as `proxy_pass` names it, or the protocol's default", true},
	{"proxy_add_x_forwarded_for", ProxyAddXForwardedFor, "request's X-Forwarded-For with `$remote_addr` added after a comma; `$remote_addr` alone if there was none", false},
	{"upstream_addr", UpstreamAddr, "address of the origin; of all that were tried, separated by commas; by colons after an internal redirect", false},
	{"upstream_status", UpstreamStatus, "status code of the origin; several as for `$upstream_addr`", true},
	{"upstream_queue_time", UpstreamQueueTime, "seconds, with milliseconds, in the queue of the upstream before the attempt; several as for `$upstream_addr`", true},
	{"upstream_connect_time", UpstreamConnectTime, "seconds, with milliseconds, to connect to the origin; several as for `$upstream_addr`", true},
	{"upstream_header_time", UpstreamHeaderTime, "seconds, with milliseconds, until the origin's head was there; several as for `$upstream_addr`", true},
	{"upstream_response_time", UpstreamResponseTime, "seconds, with milliseconds, until the origin's response was complete; several as for `$upstream_addr`", true},
	{"upstream_response_length", UpstreamResponseLength, "bytes of the origin's body; several as for `$upstream_addr`", true},
	{"upstream_bytes_received", UpstreamBytesReceived, "bytes received from the origin, head and body; several as for `$upstream_addr`", true},
	{"upstream_bytes_sent", UpstreamBytesSent, "bytes sent to the origin, head and body; several as for `$upstream_addr`", true},
	{"upstream_last_addr", UpstreamLastAddr, "address of the origin that was chosen last", false},
	{"upstream_last_server_name", UpstreamLastServerName, "the same as the group's `server` has it, or `proxy_pass`: a host by name, say", false},
	{"upstream_cache_status", UpstreamCacheStatus, "no value: there is no cache, as with nginx where none is configured", true},
	{"http2", HTTP2, "empty: a connection of HTTP/1", true},
	{"http3", HTTP2, "the same", true},
	{"ssl_alpn_protocol", SSL, "no value: there is no TLS here, as with nginx on a connection without it", true},
	{"ssl_cipher", SSL, "no value: there is no TLS here, as with nginx on a connection without it", true},
	{"ssl_ciphers", SSL, "no value: there is no TLS here, as with nginx on a connection without it", true},
	{"ssl_client_cert", SSL, "no value: there is no TLS here, as with nginx on a connection without it", true},
	{"ssl_client_escaped_cert", SSL, "no value: there is no TLS here, as with nginx on a connection without it", true},
	{"ssl_client_fingerprint", SSL, "no value: there is no TLS here, as with nginx on a connection without it", true},
	{"ssl_client_i_dn", SSL, "no value: there is no TLS here, as with nginx on a connection without it", true},
	{"ssl_client_i_dn_legacy", SSL, "no value: there is no TLS here, as with nginx on a connection without it", true},
	{"ssl_client_raw_cert", SSL, "no value: there is no TLS here, as with nginx on a connection without it", true},
	{"ssl_client_s_dn", SSL, "no value: there is no TLS here, as with nginx on a connection without it", true},
	{"ssl_client_s_dn_legacy", SSL, "no value: there is no TLS here, as with nginx on a connection without it", true},
	{"ssl_client_serial", SSL, "no value: there is no TLS here, as with nginx on a connection without it", true},
	{"ssl_client_sigalg", SSL, "no value: there is no TLS here, as with nginx on a connection without it", true},
	{"ssl_client_v_end", SSL, "no value: there is no TLS here, as with nginx on a connection without it", true},
	{"ssl_client_v_remain", SSL, "no value: there is no TLS here, as with nginx on a connection without it", true},
	{"ssl_client_v_start", SSL, "no value: there is no TLS here, as with nginx on a connection without it", true},
	{"ssl_client_verify", SSL, "no value: there is no TLS here, as with nginx on a connection without it", true},
	{"ssl_curve", SSL, "no value: there is no TLS here, as with nginx on a connection without it", true},
	{"ssl_curves", SSL, "no value: there is no TLS here, as with nginx on a connection without it", true},
	{"ssl_early_data", SSL, "no value: there is no TLS here, as with nginx on a connection without it", true},
	{"ssl_ech_outer_server_name", SSL, "no value: there is no TLS here, as with nginx on a connection without it", true},
	{"ssl_ech_status", SSL, "no value: there is no TLS here, as with nginx on a connection without it", true},
	{"ssl_protocol", SSL, "no value: there is no TLS here, as with nginx on a connection without it", true},
	{"ssl_server_name", SSL, "no value: there is no TLS here, as with nginx on a connection without it", true},
	{"ssl_session_id", SSL, "no value: there is no TLS here, as with nginx on a connection without it", true},
	{"ssl_session_reused", SSL, "no value: there is no TLS here, as with nginx on a connection without it", true},
	{"ssl_sigalg", SSL, "no value: there is no TLS here, as with nginx on a connection without it", true},
}

// families are the prefixes; none of them starts with another. Read-only.
var families = [...]Variable{
	{"http_", HTTPField, "field of the request's head; the name in lower case, `_` for `-`: `$http_user_agent`", false},
	{"sent_http_", SentHTTPField, "field of the response's head as sent to the client", false},
	{"upstream_http_", UpstreamHTTPField, "field of the origin's response head", false},
	{"sent_trailer_", SentTrailerField, "field of the trailer section sent to the client", false},
	{"upstream_trailer_", UpstreamTrailerField, "field of the trailer section of the origin's response, with `proxy_pass_trailers`", false},
	{"proxy_protocol_tlv_", ProxyProtocolTLV, "field of the PROXY protocol's header, version 2: `alpn`, `authority`, `unique_id`, `ssl`, `netns`, `ssl_version`, `ssl_cn`, `ssl_cipher`, `ssl_sig_alg`, `ssl_key_alg`, `ssl_verify`, or its type as `0xe1` or `ssl_0x22`", false},
	{"arg_", ArgNamed, "argument of that name in the request target, not decoded", false},
	{"cookie_", CookieNamed, "cookie of that name in the request", false},
	{"upstream_cookie_", UpstreamCookieNamed, "cookie of that name set by the origin's Set-Cookie", false},
}
