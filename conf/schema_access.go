// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	"time"

	"weir/internal/access"
)

// AccessSettings say who may come in.
type AccessSettings struct {
	// Who is let in and who is kept out, by address: "allow PEER" and "deny PEER", of which the first that fits decides; who fits none is let in. A peer is an
	// address, a network, "unix:" for all clients of unix sockets, or "all". See docs/access.md.
	Access []AccessRule `toml:"access" example:"['allow 10.0.0.0/8', 'deny all']" as:"nginx allow and deny"`

	// Whether a request has to pass all checks, or one of them is enough: access, auth_basic, auth_request.
	Satisfy Satisfy `toml:"satisfy" default:"all"`

	// What a client is asked for a name and a password for (the realm of HTTP Basic authentication). May have variables. "off": nobody is asked.
	AuthBasic Template `toml:"auth_basic" default:"off" example:"Members only"`

	// File with lines "name:hash" of those who may come in, read by the workers. May have variables. It is read again when it changes.
	AuthBasicUserFile Template `toml:"auth_basic_user_file" path:"true" example:"conf/htpasswd"`

	// How long a client waits for its 401.
	AuthDelay time.Duration `toml:"auth_delay" default:"0" max:"1h"`

	// Path that is asked for, in place of a request and before it is answered, whether the request may come in: 2xx lets it in, 401 and 403 keep it out, anything
	// else is a fault (500). "off": none is asked.
	AuthRequest string `toml:"auth_request" default:"off" example:"/auth"`

	// Variables that get a value when auth_request has its answer: NAME = "template", whose variables are those of the asking, such as $upstream_http_x_user.
	AuthRequestSet []SetVariable `toml:"auth_request_set" example:"{ user = '$upstream_http_x_user' }"`

	// Paths that copies of each request are made for; what comes of them is ignored. [] or false: none.
	Mirror []string `toml:"mirror" off:"true" example:"['/mirror']"`

	// Whether the copies have the request's body.
	MirrorRequestBody bool `toml:"mirror_request_body" default:"true"`

	// Whether what is asked for auth_request and mirror gets lines in the access logs.
	LogSubrequest bool `toml:"log_subrequest" default:"false"`

	// Peers that are believed when they say for whom they speak: addresses, networks, "unix:" for all clients of unix sockets, and hosts by name, which stand for the
	// addresses that they have when weir starts or reloads its configuration; one that cannot be resolved then is not believed, and a warning says so.
	SetRealIPFrom []TrustedPeer `toml:"set_real_ip_from" example:"['10.0.0.0/8', 'unix:']"`

	// Where they say it: a field of the request's head, or "proxy_protocol".
	RealIPHeader string `toml:"real_ip_header" default:"X-Real-IP"`

	// Whether a list of addresses is followed back to the first one that is not believed; otherwise the last address counts.
	RealIPRecursive bool `toml:"real_ip_recursive" default:"false"`
}

// AccessRule is a rule of access. In TOML: "allow 10.0.0.0/8".
type AccessRule struct{ access.Rule }

// TrustedPeer is a peer of set_real_ip_from. In TOML: "10.0.0.0/8", "unix:" or "proxy.example.com".
type TrustedPeer struct {
	access.Net
	Host string // then Net is empty
}

// SetVariable gives a variable a value.
type SetVariable struct {
	// Name of the variable, without "$".
	Name string `toml:"name" key:"true"`

	// Text with variables.
	Value Template `toml:"value" short:"true" required:"true"`
}

// Satisfy says how many of the checks a request has to pass.
type Satisfy uint8

// Choices of satisfy.
const (
	SatisfyAll Satisfy = iota
	SatisfyAny
)
