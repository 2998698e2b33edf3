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

// inheritHeaders works out AllHeaders and AllTrailers. Before, they are those of the level around.
func (s *Settings) inheritHeaders() {
	s.AllHeaders = inherit(s.AddHeader, s.OwnHeaders, s.AllHeaders, s.AddHeaderInherit)
	s.OwnHeaders = s.AddHeader
	s.AllTrailers = inherit(s.AddTrailer, s.OwnTrailers, s.AllTrailers, s.AddTrailerInherit)
	s.OwnTrailers = s.AddTrailer
}

// inherit is what a list comes to whose level around came to above. It is that level's own list, before, unless the key is written at this one.
func inherit(list, before, above []AddHeader, how HeaderInherit) []AddHeader {
	written := len(list) != len(before) || len(list) > 0 && &list[0] != &before[0]
	switch {
	case written && how == InheritMerge:
		return append(slices.Clip(list), above...)
	case written:
		return list
	case how == InheritOff:
		return nil
	}
	return above
}

func (BodyInFile) names() []string { return []string{"off", "on", "clean"} }

// String is the choice as written.
func (b BodyInFile) String() string { return b.names()[b] }
