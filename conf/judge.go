// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	"weir/internal/lookup"
	"weir/internal/route"
)

// inheritLinks has the one kind of secure links that is written at a level take the place of the other one that is written around it.
func (s *JudgeSettings) inheritLinks() {
	around := s.AroundLinks
	switch {
	case s.SecureLinkSecret != around[2]:
		if string(s.SecureLink) == around[0] && string(s.SecureLinkMD5) == around[1] {
			s.SecureLink, s.SecureLinkMD5 = "", ""
		}
	case string(s.SecureLink) != around[0] || string(s.SecureLinkMD5) != around[1]:
		s.SecureLinkSecret = ""
	}
	s.AroundLinks = [3]string{string(s.SecureLink), string(s.SecureLinkMD5), s.SecureLinkSecret}
}

// checkJudge checks the settings of variables that judge a request which are written at one level.
func (k *checker) checkJudge(p *path, s *JudgeSettings) {
	if at := k.writtenKey(p, "valid_referers"); at != nil {
		hosts := 0
		for i, word := range s.ValidReferers {
			if word != "none" && word != "blocked" {
				hosts++
			}
			if _, err := route.NewReferers([]string{word}, nil); err != nil {
				k.faultAt(at.at(i), "%v", err)
			}
		}
		if hosts == 0 && len(s.ValidReferers) > 0 {
			k.faultAt(at, "the \"none\" or \"blocked\" referers are specified without any valid referer")
		}
	}
	for _, list := range []struct {
		key             string
		modern, ancient []string
	}{{"modern_browser", s.ModernBrowser, nil}, {"ancient_browser", nil, s.AncientBrowser}} {
		if at := k.writtenKey(p, list.key); at != nil {
			if _, err := lookup.NewBrowsers(list.modern, list.ancient); err != nil {
				k.faultAt(at, "%v", err)
			}
		}
	}
	if at := k.writtenKey(p, "secure_link_secret"); at != nil && s.SecureLinkSecret != "" && (s.SecureLink != "" || s.SecureLinkMD5 != "") {
		k.faultAt(at, "\"secure_link_secret\" cannot be mixed with \"secure_link\" and \"secure_link_md5\"")
	}
}
