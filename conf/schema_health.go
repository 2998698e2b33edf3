// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import "time"

// HealthCheck says how the origins of a group are checked.
type HealthCheck struct {
	// Time from one check of an origin to the next.
	Interval time.Duration `toml:"interval" default:"5s" min:"10ms" max:"1d"`

	// Random time that is added to the interval, at most.
	Jitter time.Duration `toml:"jitter" default:"0" max:"1d"`

	// How long a check may take in all: one that takes longer has failed.
	Timeout time.Duration `toml:"timeout" default:"5s" min:"1ms" max:"1h" as:"weir; nginx goes by proxy_connect_timeout and proxy_read_timeout"`

	// What is checked: the answer to a GET request ("http"), or only that a connection can be made ("tcp").
	Type HealthType `toml:"type" default:"http" as:"weir; nginx has tcp in stream"`

	// What is asked for: a path, perhaps with arguments.
	URI string `toml:"uri" default:"/"`

	// The field Host of the request. Empty: the group's name, as with nginx.
	Host string `toml:"host" default:"" as:"weir; nginx goes by proxy_set_header"`

	// Port to connect to. 0: the origin's own.
	Port int `toml:"port" default:"0" max:"65535"`

	// Checks in a row that an unhealthy origin has to pass until it is healthy.
	Passes int `toml:"passes" default:"1" min:"1" max:"1000"`

	// Checks in a row that a healthy origin has to fail until it is unhealthy.
	Fails int `toml:"fails" default:"1" min:"1" max:"1000"`

	// Whether an origin gets no requests before it has passed its first check. What was found before a reload or an upgrade holds on, with nginx's parameter persistent or without.
	Mandatory bool `toml:"mandatory" default:"false"`

	// What the answer has to be.
	Expect HealthExpect `toml:"expect"`
}

// HealthExpect says which answers pass a check: those that are as all of its keys say. It is what nginx's block match holds.
type HealthExpect struct {
	// Status codes and ranges of them: "200", "200 204 301-303"; "! 500-599" for all others.
	Status string `toml:"status" default:"200-399" short:"true"`

	// Tests of header fields: "Name" (it is there), "! Name", "Name = value", "Name ~ regex", and "Name != value", "Name !~ regex" (it is there, with another value).
	Header []string `toml:"header" example:"['Content-Type = text/html']"`

	// Test of the first 256k of the body: "~ regex" or "!~ regex".
	Body string `toml:"body" example:"~ welcome"`
}
