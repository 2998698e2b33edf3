// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package logfile

// nginxWords are messages of weir's in the words that nginx has for the same, which scripts and people look for. A message that comes with the field why may
// have an entry for each reason. {name} is the value of a field.
var nginxWords = map[string]string{
	// Limits.
	"limiting connections by zone":             `limiting connections by zone "{zone}"`,
	"limiting connections, dry run, by zone":   `limiting connections, dry run, by zone "{zone}"`,
	"limiting connections at accept by zone":   `limiting connections by zone "{zone}" while accepting new connection`,
	"limiting requests":                        `limiting requests, excess: {excess} by zone "{zone}"`,
	"limiting requests, dry run":               `limiting requests, dry run, excess: {excess} by zone "{zone}"`,
	"delaying request":                         `delaying request, excess: {excess}, by zone "{zone}"`,
	"delaying request, dry run":                `delaying request, dry run, excess: {excess}, by zone "{zone}"`,
	"client intended to send too large a body": `client intended to send too large body: {bytes} bytes`,
	"client sent too large a body":             `client intended to send too large chunked body: {bytes} bytes`,

	// Clients.
	"client closed the connection within a request head":                                    `client prematurely closed connection while reading client request headers`,
	"client closed the connection within a request body":                                    `client prematurely closed connection`,
	"client closed the connection while its request was delayed":                            `client prematurely closed connection while delaying request`,
	"client closed the connection before it had its response":                               `epoll_wait() reported that client prematurely closed connection, so upstream connection is closed too while {doing}`,
	"client closed the connection within a response":                                        `client prematurely closed connection while sending response to client`,
	"client sent its request head too slowly":                                               `client timed out (110: Connection timed out) while reading client request headers`,
	"client sent its request body too slowly":                                               `client timed out (110: Connection timed out) while reading client request body`,
	"client took its response too slowly":                                                   `client timed out (110: Connection timed out) while sending to client`,
	"client sent a malformed chunked body":                                                  `client sent invalid chunked body`,
	"client sent an invalid request: control character in the head":                         `client sent invalid header line while reading client request headers`,
	"client sent an invalid request: carriage return without line feed in the head":         `client sent invalid header line while reading client request headers`,
	"client sent an invalid request: invalid request line":                                  `client sent invalid request while reading client request line`,
	"client sent an invalid request: invalid method":                                        `client sent invalid method while reading client request line`,
	"client sent an invalid request: method not allowed":                                    `client sent CONNECT method while reading client request line`,
	"client sent an invalid request: invalid request target":                                `client sent invalid request while reading client request line`,
	"client sent an invalid request: version of HTTP not supported":                         `client sent invalid version while reading client request line`,
	"client sent an invalid request: first line too long":                                   `client sent too long URI while reading client request line`,
	"client sent an invalid request: header field line too long":                            `client sent too long header line while reading client request headers`,
	"client sent an invalid request: header fields too large":                               `client sent too large request while reading client request headers`,
	"client sent an invalid request: too many header fields":                                `client sent too many header lines while reading client request headers`,
	"client sent an invalid request: folded header field line":                              `client sent invalid header line while reading client request headers`,
	"client sent an invalid request: header field line without colon":                       `client sent invalid header line while reading client request headers`,
	"client sent an invalid request: invalid header field name":                             `client sent invalid header line while reading client request headers`,
	"client sent an invalid request: duplicate header field":                                `client sent duplicate header line while reading client request headers`,
	"client sent an invalid request: HTTP/1.1 request without Host":                         `client sent HTTP/1.1 request without "Host" header while reading client request headers`,
	"client sent an invalid request: invalid host":                                          `client sent invalid host header while reading client request headers`,
	"client sent an invalid request: invalid Content-Length":                                `client sent invalid "Content-Length" header while reading client request headers`,
	"client sent an invalid request: unknown Transfer-Encoding":                             `client sent unknown "Transfer-Encoding" while reading client request headers`,
	"client sent an invalid request: Transfer-Encoding in HTTP/1.0":                         `client sent HTTP/1.0 request with "Transfer-Encoding" header while reading client request headers`,
	"client sent an invalid request: Content-Length and Transfer-Encoding at the same time": `client sent "Content-Length" and "Transfer-Encoding" headers at the same time while reading client request headers`,

	// Rules.
	"matches":            `"{pattern}" matches "{subject}"`,
	"does not match":     `"{pattern}" does not match "{subject}"`,
	"rewritten data":     `rewritten data: "{uri}", args: "{args}"`,
	"rewritten redirect": `rewritten redirect: "{location}"`,

	// Origins.
	"invalid URL prefix in proxy_pass":                              `invalid URL prefix in "{url}"`,
	"invalid port in proxy_pass":                                    `invalid port in upstream "{url}"`,
	"invalid host in proxy_pass":                                    `invalid host in upstream "{url}"`,
	"no host in proxy_pass":                                         `no host in upstream "{url}"`,
	"invalid local address in proxy_bind":                           `invalid local address "{value}"`,
	"connect failed at once":                                        `connect() to {to} failed {error} while connecting to upstream`,
	"connect failed":                                                `connect() failed {error} while connecting to upstream`,
	"no live upstreams":                                             `no live upstreams while connecting to upstream`,
	"origin is taken for unavailable":                               `upstream server temporarily disabled while {doing}`,
	"origin timed out":                                              `upstream timed out (110: Connection timed out) while {doing}`,
	"origin timed out while sending its response":                   `upstream timed out (110: Connection timed out) while reading upstream`,
	"origin sent too large a response head":                         `upstream sent too big header while reading response header from upstream`,
	"origin sent an invalid response":                               `upstream sent invalid header while reading response header from upstream`,
	"origin sent an invalid response: duplicate header field":       `upstream sent duplicate header line: "{header}", previous value: "{previous}" while reading response header from upstream`,
	"origin sent an invalid response: invalid Content-Length":       `upstream sent invalid "Content-Length" header: "{header}" while reading response header from upstream`,
	"origin sent an invalid response: unknown Transfer-Encoding":    `upstream sent unknown "Transfer-Encoding": "{value}" while reading response header from upstream`,
	"origin sent an invalid response: invalid status line":          `upstream sent no valid HTTP/1.0 header while reading response header from upstream`,
	"origin closed the connection while the request was sent":       `send() failed {error} while sending request to upstream`,
	"origin closed the connection before its response was complete": `upstream prematurely closed connection while reading response header from upstream`,
	"origin closed the connection within its response":              `upstream prematurely closed connection while reading upstream`,
	"reading the origin's response failed":                          `recv() failed {error} while reading response header from upstream`,
	"tunnel was idle for proxy_read_timeout":                        `upstream timed out (110: Connection timed out) while proxying upgraded connection`,
	"reading the origin's response failed within its body":          `readv() failed {error} while reading upstream`,
	"origin sent a malformed chunked body":                          `upstream sent invalid chunked response while reading upstream`,
	"origin sent more than its response":                            `upstream sent more data than specified in "Content-Length" header while reading upstream`,

	"origin sent an invalid response: Content-Length and Transfer-Encoding at the same time": `upstream sent "Content-Length" and "Transfer-Encoding" headers at the same time while reading response header from upstream`,

	// Processes.
	"reload":                            `reconfiguring`,
	"accept failed, pausing":            `accept4() failed {error}`,
	"worker_connections are not enough": `{worker_connections} worker_connections are not enough`,
	"log files reopened":                `reopening logs`,
}
