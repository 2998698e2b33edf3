// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

// Map is one [http.map.NAME]: the variable $NAME, whose value follows from a text.
type Map struct {
	// Name of the variable, without "$".
	Name string `toml:"name" key:"true"`

	// The text that is looked up. Has variables.
	Source Template `toml:"source" required:"true" example:"$http_upgrade"`

	// Values by text: letter case is ignored; "~expression" and "~*expression" (without regard to case) are asked in their order when no text fits. A backslash
	// stands before a text that begins with "~". Values may have variables, and groups of the expression.
	Values []MapValue `toml:"value" example:"{ '' = 'close', '~^h2' = 'upgrade' }"`

	// The value for everything else.
	Default Template `toml:"default"`

	// Whether texts are names of hosts, of which "*.example.com", ".example.com" and "www.example.*" stand for several.
	Hostnames bool `toml:"hostnames" default:"false"`

	// Whether the value is worked out each time it is asked for, and not once for a request.
	Volatile bool `toml:"volatile" default:"false"`
}

// MapValue is one entry of a Map.
type MapValue struct {
	// The text.
	Key string `toml:"name" key:"true"`

	// The value.
	Value Template `toml:"value" short:"true" required:"true"`
}

// Geo is one [http.geo.NAME]: the variable $NAME, whose value follows from an address.
type Geo struct {
	// Name of the variable, without "$".
	Name string `toml:"name" key:"true"`

	// Gives the address.
	Source Template `toml:"source" default:"$remote_addr"`

	// Values by network, of which the longest that has the address counts; with ranges by range.
	Values []GeoValue `toml:"value" example:"{ '10.0.0.0/8' = 'inside' }"`

	// The value for all other addresses.
	Default string `toml:"default"`

	// Networks that are taken out of value.
	Delete []string `toml:"delete" example:"['10.1.0.0/16']"`

	// Whether entries are ranges of IPv4 addresses, "192.0.2.1-192.0.2.9".
	Ranges bool `toml:"ranges" default:"false"`

	// Peers that are believed when they say in X-Forwarded-For whom they speak for: that address is looked up then.
	Proxy []Network `toml:"proxy" example:"['192.0.2.0/24']"`

	// Whether that field is followed back to the first address that is not believed; otherwise the last one counts.
	ProxyRecursive bool `toml:"proxy_recursive" default:"false"`
}

// GeoValue is one entry of a Geo.
type GeoValue struct {
	// The network or range.
	Key string `toml:"name" key:"true"`

	// The value.
	Value string `toml:"value" short:"true" required:"true"`
}

// SplitClients is one [http.split_clients.NAME]: the variable $NAME, which divides texts into parts of given sizes.
type SplitClients struct {
	// Name of the variable, without "$".
	Name string `toml:"name" key:"true"`

	// The text that decides. Has variables.
	Source Template `toml:"source" required:"true" example:"${remote_addr}AAA"`

	// Values by their part of all texts, such as "0.5%"; the last may be "*", for the rest.
	Values []SplitValue `toml:"value" required:"true" example:"{ '0.5%' = '.one', '*' = '' }"`
}

// SplitValue is one part of SplitClients.
type SplitValue struct {
	// Its size.
	Key string `toml:"name" key:"true"`

	// The value. May have variables.
	Value Template `toml:"value" short:"true" required:"true"`
}
