// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import "slices"

func (HeaderInherit) names() []string { return []string{"on", "off", "merge"} }

// String is the choice as written.
func (h HeaderInherit) String() string { return h.names()[h] }

func (s *ServerTokens) decodeTOML(d *decoder, n *node, p *path) bool {
	switch v := n.value.(type) {
	case string:
		*s = ServerTokens(v)
		for i := range len(v) {
			if v[i] < ' ' || v[i] == 0x7f {
				d.fault(n, p, "has a control character, which a header field cannot have")
				return false
			}
		}
	case bool:
		*s = map[bool]ServerTokens{true: "on", false: "off"}[v]
	default:
		d.fault(n, p, "must be true, false or a text, not %s", n.describe())
		return false
	}
	return true
}

// inheritHeaders works out AllHeaders. Before, they are those of the level around, and AddHeader is that one's too unless the key is written at this one.
func (s *Settings) inheritHeaders() {
	written := len(s.AddHeader) != len(s.OwnHeaders) || len(s.AddHeader) > 0 && &s.AddHeader[0] != &s.OwnHeaders[0]
	above := s.AllHeaders
	switch {
	case written && s.AddHeaderInherit == InheritMerge:
		s.AllHeaders = append(slices.Clip(s.AddHeader), above...)
	case written:
		s.AllHeaders = s.AddHeader
	case s.AddHeaderInherit == InheritOff:
		s.AllHeaders = nil
	}
	s.OwnHeaders = s.AddHeader
}
