// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import "time"

// ResolverSettings are the settings of looking names up while weir serves.
type ResolverSettings struct {
	// The name servers that are asked for hosts that are not known before a request comes (variables in proxy_pass), and for origins with resolve. Without it, such
	// a request gets 502. See docs/upstreams.md.
	Resolver *Resolver `toml:"resolver" example:"{ addresses = ['127.0.0.1'], valid = '30s' }"`

	// How long a name may take to be looked up.
	ResolverTimeout time.Duration `toml:"resolver_timeout" default:"30s" min:"1ms" max:"365d"`
}

// Resolver says who is asked for names. Settings are compared by its contents.
type Resolver struct {
	// Name servers: addresses, or hosts by name, which are looked up once as the system does it. Without a port: 53. Each question goes to one of them, and to the next when that one does not answer.
	Addresses []NameServer `toml:"addresses" short:"true" required:"true" example:"['127.0.0.1', '[::1]:5353']"`

	// How long an answer is used. 0: as long as the answer says (TTL).
	Valid time.Duration `toml:"valid" default:"0" max:"365d"`

	// Whether IPv4 addresses are looked for.
	IPv4 bool `toml:"ipv4" default:"true"`

	// Whether IPv6 addresses are looked for.
	IPv6 bool `toml:"ipv6" default:"true"`
}
