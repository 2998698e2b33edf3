// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"weir/internal/static"
)

// HasSettings says whether some level of the config has settings of which f is true.
func (c *Config) HasSettings(f func(*Settings) bool) bool {
	if f(&c.HTTP.Settings) {
		return true
	}
	for i := range c.HTTP.Servers {
		s := &c.HTTP.Servers[i]
		if f(&s.Settings) {
			return true
		}
		for l := range s.Blocks() {
			if f(&l.Settings) {
				return true
			}
		}
	}
	return false
}

// checkFiles checks the settings of files that are written at one level.
func (k *checker) checkFiles(p *path, s *FileSettings) {
	if at := k.writtenKey(p, "root"); at != nil {
		for _, name := range []string{"$document_root", "${document_root}", "$realpath_root", "${realpath_root}"} {
			if strings.Contains(string(s.Root), name) {
				k.faultAt(at, "cannot have %s in it", name)
			}
		}
	}
	if at := k.writtenKey(p, "index"); at != nil {
		for i, name := range s.Index {
			switch {
			case name == "":
				k.faultAt(at.at(i), "must be the name of a file")
			case name[0] == '/' && i != len(s.Index)-1:
				k.warnAt(at.at(i), "only the last index should be absolute: those behind it are never looked for")
			}
		}
	}
	if at := k.writtenKey(p, "types"); at != nil {
		for i, t := range s.Types {
			k.checkLine(k.entry(at, t.Type, i), Template(t.Type))
			if t.Type == "" {
				k.faultAt(k.entry(at, t.Type, i), "must be a content type")
			}
		}
	}
	if at := k.writtenKey(p, "default_type"); at != nil {
		k.checkLine(at, Template(s.DefaultType))
	}
	if at := k.writtenKey(p, "expires"); at != nil && !strings.Contains(string(s.Expires), "$") {
		if _, err := static.ParseExpires(string(s.Expires)); err != nil {
			k.faultAt(at, "%v, not %s", err, quote(string(s.Expires)))
		}
	}
	if at := k.writtenKey(p, "disable_symlinks"); at != nil && s.DisableSymlinks.Mode == SymlinksOff && s.DisableSymlinks.From != "" {
		k.faultAt(at, "has no use for \"from\" while it is off")
	}
}

// checkTryFiles checks the files of a server, or of one of its locations.
func (k *checker) checkTryFiles(p *path, list []Template, server *Server) {
	at := p.key("try_files")
	if !k.written(at) {
		return
	}
	if len(list) < 2 {
		k.faultAt(at, "needs a file and what to do when it is not there")
		return
	}
	if list[len(list)-1] == "" {
		k.faultAt(at.at(len(list)-1), "must not be empty")
		return
	}
	switch last := string(list[len(list)-1]); last[0] {
	case '=':
		if code, err := strconv.Atoi(last[1:]); err != nil || code < 100 || code > 999 {
			k.faultAt(at.at(len(list)-1), "invalid code %s", quote(last))
		}
	case '@':
		if !server.hasNamed(last) {
			k.faultAt(at.at(len(list)-1), "no location %s in this server", quote(last))
		}
	}
}

// hasNamed says whether the server has a location of that name, with its "@".
func (s *Server) hasNamed(name string) bool {
	for i := range s.Locations {
		if p := s.Locations[i].Path; p.Modifier == Named && p.Text == name {
			return true
		}
	}
	return false
}

// checkAlias checks the alias of a location.
func (k *checker) checkAlias(p *path, l *Location) {
	if l.Alias == "" {
		return
	}
	if k.writtenKey(p, "root") != nil {
		k.faultAt(p.key("alias"), "cannot stand beside root")
	}
	if l.Path.Modifier == Named {
		k.faultAt(p.key("alias"), "cannot be used inside of a named location")
	}
}

// gzipProxied are the names of gzip_proxied.
var gzipProxied = []string{"off", "expired", "no-cache", "no-store", "private", "no_last_modified", "no_etag", "auth", "any"} // read-only

// checkChoices checks a list of choices. As with nginx any may stand together.
func (k *checker) checkChoices(at *path, list, choices []string) {
	if !k.written(at) {
		return
	}
	for i, name := range list {
		if !slices.Contains(choices, name) {
			k.faultAt(at.at(i), "must be %s, not %s%s", alternatives(choices), quote(name), suggest(name, choices))
		}
	}
}

// checkEncoding checks the settings of how answers are written that stand at one level.
func (k *checker) checkEncoding(p *path, s *EncodingSettings) {
	k.checkChoices(p.key("gzip_proxied"), s.GzipProxied, gzipProxied)
	if at := k.writtenKey(p, "gzip_disable"); at != nil {
		for i, text := range s.GzipDisable {
			if _, err := regexp.Compile(text); err != nil {
				k.faultAt(at.at(i), "%v", err)
			}
		}
	}
	k.checkCharsets(p, s)
}
