// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package worker

import (
	"fmt"

	"weir/conf"
	"weir/internal/limitreq"
	"weir/internal/logfile"
	"weir/internal/request"
)

// rates makes the limit_req of a location; nil if there are none.
func (b *builder) rates(c *conf.Settings) (*request.Rates, error) {
	if len(c.LimitReqs) == 0 {
		return nil, nil
	}
	r := &request.Rates{Status: c.LimitReqStatus, LogLevel: logfile.Level(c.LimitReqLogLevel.Level()), DryRun: c.LimitReqDryRun}
	for i := range c.LimitReqs {
		limit := &c.LimitReqs[i]
		config := &b.config.HTTP.LimitReqZones[limit.ZoneIndex]
		zone := b.zones.rates[limit.Zone]
		if zone == nil {
			return nil, fmt.Errorf("manifest: no zone %q", limit.Zone)
		}
		key, err := b.compile(string(config.Key))
		if err != nil {
			return nil, err
		}
		rate := request.Rate{
			Zone: zone, Key: key, ByAddress: key.String() == "$binary_remote_addr", PeriodNs: limitreq.Period(uint64(config.Rate.Requests), uint64(config.Rate.Per)),
			Burst: uint32(limit.Burst), Delay: uint32(limit.Delay),
		}
		if limit.NoDelay {
			rate.Delay = limitreq.NoDelay
		}
		r.List = append(r.List, rate)
	}
	return r, nil
}
