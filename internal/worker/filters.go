// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package worker

import (
	"strings"
	"unicode/utf8"

	"weir/conf"
	"weir/internal/filter"
	"weir/internal/request"
	"weir/internal/static"
)

// sub makes sub_filter; nil where there is none.
func (b *builder) sub(c *conf.FilterSettings) (*request.Sub, error) {
	if len(c.SubFilter) == 0 {
		return nil, nil
	}
	s := &request.Sub{Types: static.NewTypeSet(lower(c.SubFilterTypes)), Once: c.SubFilterOnce, LastModified: c.SubFilterLastModified}
	constant := true
	var texts, with [][]byte
	for _, f := range c.SubFilter {
		text, err := b.compile(string(f.String))
		if err != nil {
			return nil, err
		}
		other, err := b.compile(string(f.Replacement))
		if err != nil {
			return nil, err
		}
		s.Texts, s.With = append(s.Texts, text), append(s.With, other)
		what, ok := text.Constant()
		by, fixed := other.Constant()
		constant = constant && ok && fixed
		texts, with = append(texts, []byte(what)), append(with, []byte(by))
	}
	if constant {
		s.Constant = filter.Replacing{Patterns: filter.NewPatterns(texts), With: with, Once: s.Once}
	}
	return s, nil
}

// charset makes charset and source_charset; nil where both are off.
func (b *builder) charset(c *conf.Settings) (*request.Charset, error) {
	if c.Charset == "off" && c.SourceCharset == "off" {
		return nil, nil
	}
	s := &request.Charset{Override: c.OverrideCharset, Types: static.NewTypeSet(lower(c.CharsetTypes))}
	var err error
	if c.Charset != "off" {
		if s.Name, err = b.compile(string(c.Charset)); err != nil {
			return nil, err
		}
	}
	if c.SourceCharset != "off" {
		s.Source, err = b.compile(string(c.SourceCharset))
	}
	return s, err
}

// charsets are all charsets that the config names, and the maps between them; nil where it names none.
func (w *worker) charsets() *request.Charsets {
	all := &request.Charsets{Known: map[string][]byte{}, Maps: map[[2]string]*filter.Recoding{}}
	name := func(text string) {
		if low := strings.ToLower(text); all.Known[low] == nil {
			all.Known[low] = []byte(text)
		}
	}
	for i := range w.config.HTTP.CharsetMaps {
		m := &w.config.HTTP.CharsetMaps[i]
		from, to := strings.ToLower(m.From), strings.ToLower(m.To)
		name(m.From)
		name(m.To)
		all.Maps[[2]string{from, to}], all.Maps[[2]string{to, from}] = recodings(m)
	}
	w.config.HasSettings(func(s *conf.Settings) bool {
		for _, text := range []conf.Template{s.Charset, s.SourceCharset} {
			if text != "off" && !strings.Contains(string(text), "$") {
				name(string(text))
			}
		}
		return false
	})
	if len(all.Known) == 0 {
		return nil
	}
	return all
}

// recodings makes the tables of a charset_map, there and back.
func recodings(m *conf.CharsetMap) (there, back *filter.Recoding) {
	there = &filter.Recoding{Sized: !m.ToUTF8()}
	for i := range there.Bytes {
		there.Bytes[i] = "?"
		if i < utf8.RuneSelf {
			there.Bytes[i] = string(rune(i))
		}
	}
	back = &filter.Recoding{FromUTF8: m.ToUTF8(), Runes: map[rune]byte{}, Sized: there.Sized, Bytes: there.Bytes}
	for _, v := range m.Values {
		from, to, err := m.Pair(v)
		if err != nil {
			panic("worker: a charset_map that was checked is faulty: " + err.Error())
		}
		there.Bytes[from] = to
		if back.FromUTF8 {
			c, _ := utf8.DecodeRuneInString(to)
			back.Runes[c] = from
		} else {
			back.Bytes[to[0]] = string([]byte{from})
		}
	}
	return there, back
}
