// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// checkFilters checks what is changed in answers, and what is added to them.
func (k *checker) checkFilters(p *path, s *FilterSettings) {
	k.checkAdded(p.key("add_trailer"), s.AddTrailer)
	if at := k.writtenKey(p, "sub_filter"); at != nil {
		for i, f := range s.SubFilter {
			switch {
			case f.String == "":
				k.faultAt(at.at(i).key("string"), "must not be empty")
			case f.String.constant() && len(f.String) > subMax:
				k.faultAt(at.at(i).key("string"), "must have at most %d bytes", subMax)
			}
		}
	}
}

// subMax is the length of what sub_filter can look for: filter.PatternMax.
const subMax = 8 << 10

// checkAdded checks fields that are added to answers.
func (k *checker) checkAdded(at *path, list []AddHeader) {
	if k.written(at) {
		for i, h := range list {
			k.checkHeader(k.entry(at, h.Name, i), h.Name, h.Value)
		}
	}
}

// checkCharsets checks charset and source_charset of one level: where both are known, there must be a map between them.
func (k *checker) checkCharsets(p *path, s *EncodingSettings) {
	written := false
	for _, c := range []struct {
		key  string
		name Template
	}{{"charset", s.Charset}, {"source_charset", s.SourceCharset}} {
		if at := k.writtenKey(p, c.key); at != nil {
			written = true
			k.checkLine(at, c.name)
			if c.name == "" {
				k.faultAt(at, "must be a charset, or \"off\"")
			}
		}
	}
	to, from := string(s.Charset), string(s.SourceCharset)
	if !written || to == "off" || from == "off" || !s.Charset.constant() || !s.SourceCharset.constant() || strings.EqualFold(to, from) {
		return
	}
	for _, m := range k.cfg.HTTP.CharsetMaps {
		if m.between(from, to) {
			return
		}
	}
	at := p.key("charset")
	if !k.written(at) {
		at = p.key("source_charset")
	}
	k.faultAt(at, "no \"charset_map\" between the charsets %s and %s", quote(from), quote(to))
}

// between says whether the map is for two charsets, in any order.
func (m *CharsetMap) between(a, b string) bool {
	return strings.EqualFold(m.From, a) && strings.EqualFold(m.To, b) || strings.EqualFold(m.From, b) && strings.EqualFold(m.To, a)
}

// ToUTF8 says whether the map is to UTF-8.
func (m *CharsetMap) ToUTF8() bool { return strings.EqualFold(m.To, "utf-8") }

// checkCharsetMaps checks charset_map.
func (k *checker) checkCharsetMaps(p *path) {
	maps := k.cfg.HTTP.CharsetMaps
	for i := range maps {
		m, at := &maps[i], p.at(i)
		switch {
		case strings.EqualFold(m.From, m.To):
			k.faultAt(at.key("to"), "\"charset_map\" between the same charsets %s and %s", quote(m.From), quote(m.To))
		case strings.EqualFold(m.From, "utf-8"):
			k.faultAt(at.key("from"), "utf-8 has to be the second charset")
		}
		for _, other := range maps[:i] {
			if other.between(m.From, m.To) {
				k.faultAt(at, "duplicate \"charset_map\" between %s and %s", quote(m.From), quote(m.To))
			}
		}
		for j, v := range m.Values {
			if _, _, err := m.Pair(v); err != nil {
				k.faultAt(k.entry(at.key("value"), v.Byte, j), "%v", err)
			}
		}
	}
}

// Pair is the byte of an entry of the map, and what stands for it in the other charset.
func (m *CharsetMap) Pair(v CharsetValue) (from byte, to string, err error) {
	n, err := strconv.ParseUint(v.Byte, 16, 8)
	if err != nil {
		return 0, "", fmt.Errorf("invalid value %s: not a byte as a hexadecimal number", quote(v.Byte))
	}
	text := v.Other
	if len(text) == 1 {
		text = "0" + text
	}
	b, err := hex.DecodeString(text)
	switch {
	case err != nil, !m.ToUTF8() && len(b) != 1:
		return 0, "", fmt.Errorf("invalid value %s: not a byte as a hexadecimal number", quote(v.Other))
	case m.ToUTF8() && (len(b) > 3 || utf8.RuneCount(b) != 1 || !utf8.Valid(b)):
		return 0, "", fmt.Errorf("invalid value %s: not the bytes of one character of UTF-8", quote(v.Other))
	}
	return byte(n), string(b), nil
}
