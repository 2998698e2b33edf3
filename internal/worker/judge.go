// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package worker

import (
	"weir/conf"
	"weir/internal/lookup"
	"weir/internal/request"
	"weir/internal/route"
)

// judge compiles the settings by which a location's variables judge a request; nil: there are none.
func (b *builder) judge(c *conf.JudgeSettings, server *conf.Server) (*request.Judge, error) {
	if len(c.ValidReferers) == 0 && c.SecureLink == "" && c.SecureLinkSecret == "" && len(c.ModernBrowser) == 0 && len(c.AncientBrowser) == 0 {
		return nil, nil
	}
	j := &request.Judge{Secret: c.SecureLinkSecret, ModernValue: c.ModernBrowserValue, AncientValue: c.AncientBrowserValue}
	var err error
	if j.Browsers, err = lookup.NewBrowsers(c.ModernBrowser, c.AncientBrowser); err != nil {
		return nil, err
	}
	if c.SecureLink != "" && c.SecureLinkMD5 != "" {
		if j.Link, err = b.compile(string(c.SecureLink)); err != nil {
			return nil, err
		}
		if j.Expression, err = b.compile(string(c.SecureLinkMD5)); err != nil {
			return nil, err
		}
	}
	if len(c.ValidReferers) > 0 {
		if j.Referers, err = route.NewReferers(c.ValidReferers, b.names(server)); err != nil {
			return nil, err
		}
	}
	return j, nil
}
