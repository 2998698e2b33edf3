// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	"fmt"
	"time"
)

// LimitReqSettings are the settings of limit_req.
type LimitReqSettings struct {
	// Rates of requests for each key of a zone. With more than one limit a request has to be within each; the longest delay counts. []: none.
	// They are asked before limit_conn. See docs/limits.md.
	LimitReqs []LimitReq `toml:"limit_req" example:"[{ zone = 'rate', burst = 20, nodelay = true }]"`

	// Status code for a request above a rate and its burst.
	LimitReqStatus int `toml:"limit_req_status" default:"503" min:"400" max:"599"`

	// Level at which a refusal by a rate is logged, in a dry run too; a delay is logged one level lower.
	LimitReqLogLevel LimitLevel `toml:"limit_req_log_level" default:"error"`

	// Whether a request above a rate is only logged, and let through at once.
	LimitReqDryRun bool `toml:"limit_req_dry_run" default:"false"`

	// Whether an answer to a limited request, with the code 429 or 503, says in Retry-After how many seconds to wait: for limit_req until the
	// next request would be let through, for limit_conn 1.
	LimitRetryAfter bool `toml:"limit_retry_after" default:"false" as:"weir"`
}

// LimitReq is a limit on the rate of requests of each key of a zone.
type LimitReq struct {
	// Name of a limit_req_zone.
	Zone string `toml:"zone" required:"true"`

	// How many requests over the rate are let through; those above the burst are refused.
	Burst int `toml:"burst" default:"0" max:"1000000" example:"20"`

	// How many of the burst are let through without a delay.
	Delay int `toml:"delay" default:"0" max:"1000000" example:"8"`

	// Whether all of the burst is let through without a delay.
	NoDelay bool `toml:"nodelay" default:"false"`

	// ZoneIndex is Zone as an index in HTTP.LimitReqZones.
	ZoneIndex int `toml:"-"`
}

// LimitReqZone is one [http.limit_req_zone.NAME]: shared memory in which the rates of requests are kept by key, over all workers.
type LimitReqZone struct {
	// Name of the zone: 1 to 64 letters, digits, "_" and "-".
	Name string `toml:"name" key:"true"`

	// What requests are counted by, at most 256 bytes. A request for which it is empty is not limited.
	Key Template `toml:"key" required:"true" example:"$binary_remote_addr_prefix"`

	// Size of the zone; whole pages of 4k are used. `weir -t` says how many keys fit. When it is full, the key used longest ago leaves.
	Size Size `toml:"size" required:"true" min:"32k" max:"4095m" example:"10m"`

	// Requests a second ("10r/s") or a minute ("30r/m").
	Rate Rate `toml:"rate" required:"true" example:"10r/s"`
}

// Rate is how many requests there may be in a time. In TOML: "10r/s" or "30r/m".
type Rate struct {
	Requests int
	Per      time.Duration // a second or a minute
}

// String is the rate as written.
func (r Rate) String() string {
	unit := "r/s"
	if r.Per == time.Minute {
		unit = "r/m"
	}
	return fmt.Sprint(r.Requests, unit)
}
