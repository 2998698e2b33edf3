// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

// ProxySettings say what is changed in requests on their way to origins, and in responses on their way back.
type ProxySettings struct {
	// Method of requests to origins, in the place of the client's. May have variables; where it is empty, the client's.
	ProxyMethod Template `toml:"proxy_method" example:"GET"`

	// Body of requests to origins, in the place of the client's. May have variables.
	ProxySetBody *Template `toml:"proxy_set_body" example:"from=$remote_addr"`

	// Whether requests to origins have the client's body.
	ProxyPassRequestBody bool `toml:"proxy_pass_request_body" default:"true"`

	// Whether requests to origins have the client's header fields. Those of proxy_set_header are sent in any case.
	ProxyPassRequestHeaders bool `toml:"proxy_pass_request_headers" default:"true"`

	// Changes to the attribute Domain of Set-Cookie: "off", or a list of { from, to }; the first that fits is used. A from with "~" in front is a
	// regular expression, letter case ignored; any other is the whole domain. Both may have variables.
	ProxyCookieDomain CookieRules `toml:"proxy_cookie_domain" default:"off" example:"{ from = 'localhost', to = 'example.org' }"`

	// Changes to the attribute Path of Set-Cookie: "off", or a list of { from, to }; the first that fits is used. A from with "~" or "~*" in front is
	// a regular expression that replaces the whole path; any other is the beginning that is replaced.
	ProxyCookiePath CookieRules `toml:"proxy_cookie_path" default:"off" example:"{ from = '/two/', to = '/' }"`

	// Flags set in Set-Cookie, or taken out: a list; the first whose cookie fits is used. false: none.
	ProxyCookieFlags []CookieFlags `toml:"proxy_cookie_flags" off:"true" example:"{ cookie = '~', flags = ['secure', 'samesite=lax'] }"`

	// Address that connections to origins come from, with a port or without; or "off". May have variables; where it is empty, the kernel chooses.
	// Such a connection is kept, and used again for requests with the same address.
	ProxyBind ProxyBind `toml:"proxy_bind" default:"off" example:"127.0.0.1"`

	// Whether TCP keep-alive is switched on for connections to origins.
	ProxySocketKeepalive bool `toml:"proxy_socket_keepalive" default:"false"`

	// Whether connections to origins begin with a line of the PROXY protocol that names the client: version "v1" (text), "v2" (binary), or "off".
	// Such connections are not kept: each is for one client.
	ProxyProtocol ProxyProtocol `toml:"proxy_protocol" default:"off" as:"weir; HAProxy has send-proxy"`

	// Whether a client gets the part of a response that it asks for (Range), also where the origin gives all of it: one part, of a response whose
	// length is known.
	ProxyForceRanges bool `toml:"proxy_force_ranges" default:"false"`

	// Whether the trailer fields of an origin's chunked response are passed to clients of HTTP/1.1. An origin may want to be asked for them:
	// proxy_set_header = { Connection = "te", TE = "trailers" }.
	ProxyPassTrailers bool `toml:"proxy_pass_trailers" default:"false"`
}

// CookieFlags are flags for cookies of some name.
type CookieFlags struct {
	// Name of the cookies, letter case ignored; with "~" in front a regular expression. May have variables.
	Cookie string `toml:"cookie" required:"true"`

	// What is set or taken out: "secure", "httponly", "samesite=strict", "samesite=lax", "samesite=none", "nosecure", "nohttponly", "nosamesite". May have variables.
	Flags []Template `toml:"flags" required:"true"`
}

// ProxyBind is where connections to origins come from.
type ProxyBind struct {
	// IP address, with a port or without; or "off". May have variables.
	Address Template `toml:"address" short:"true" required:"true" example:"$remote_addr"`

	// Whether the address may be one that this machine does not have, such as the client's. The worker needs the right to that (CAP_NET_ADMIN or
	// CAP_NET_RAW), and the origin's answers have to be routed here.
	Transparent bool `toml:"transparent" default:"false"`
}
