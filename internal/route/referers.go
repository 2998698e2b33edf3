// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package route

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// Referers says whether a Referer field is one of those of valid_referers. Immutable.
type Referers struct {
	none, blocked bool
	hosts         *ServerNames // server 0 stands for none of them
	uris          []string     // by server: what the path begins with; "": any
	patterns      []*Pattern   // what follows the scheme
}

// refererHostMax is how long a host's name may be, as with nginx.
const refererHostMax = 256

// NewReferers reads the arguments of valid_referers; serverNames are what "server_names" stands for.
func NewReferers(words, serverNames []string) (*Referers, error) {
	r := &Referers{uris: []string{""}}
	servers := []Server{{Default: true}}
	add := func(uri string, names ...string) {
		servers = append(servers, Server{Names: names})
		r.uris = append(r.uris, uri)
	}
	var faults []error
	for _, word := range words {
		switch {
		case word == "":
			faults = append(faults, errors.New(`invalid referer ""`))
		case word == "none":
			r.none = true
		case word == "blocked":
			r.blocked = true
		case word == "server_names":
			if names := named(serverNames); len(names) > 0 {
				add("", names...)
			}
		case word[0] == '~':
			pattern, err := NewPattern(word[1:], true)
			if err != nil || word == "~" {
				faults = append(faults, fmt.Errorf("invalid referer %q: %w", word, cmpError(err)))
				continue
			}
			r.patterns = append(r.patterns, pattern)
		default:
			host, uri := word, ""
			if i := strings.IndexByte(word, '/'); i >= 0 {
				host, uri = word[:i], word[i:]
			}
			if err := CheckServerName(host); host == "" || err != nil {
				faults = append(faults, fmt.Errorf("invalid referer %q", word))
				continue
			}
			add(uri, host)
		}
	}
	var err error
	if r.hosts, err = NewServerNames(servers); err != nil {
		faults = append(faults, err)
	}
	return r, errors.Join(faults...)
}

func cmpError(err error) error {
	if err == nil {
		return errors.New("it has no regular expression")
	}
	return err
}

// named are the names of a server without the empty one.
func named(names []string) (list []string) {
	for _, name := range names {
		if name != "" {
			list = append(list, name)
		}
	}
	return list
}

// Valid says whether a field with this value is one of them; given: the request has the field. Where no host is named, everything is valid.
func (r *Referers) Valid(value []byte, given bool) bool {
	if len(r.uris) == 1 && len(r.patterns) == 0 {
		return true
	}
	if !given {
		return r.none
	}
	rest, ok := withoutScheme(value)
	if !ok {
		return r.blocked
	}
	end := bytes.IndexAny(rest, "/:")
	if end < 0 {
		end = len(rest)
	}
	if end > refererHostMax {
		return false
	}
	var memory [refererHostMax]byte
	host := memory[:copy(memory[:], rest[:end])]
	for i, c := range host {
		if 'A' <= c && c <= 'Z' {
			host[i] = c + 'a' - 'A'
		}
	}
	if n := r.hosts.Lookup(host); n > 0 {
		path := rest[end:]
		if slash := bytes.IndexByte(path, '/'); slash >= 0 {
			path = path[slash:]
		} else {
			path = nil
		}
		return bytes.HasPrefix(path, []byte(r.uris[n]))
	}
	for _, p := range r.patterns {
		if p.Match(rest) == Matches {
			return true
		}
	}
	return false
}

// shortestReferer is a field that is worth to be looked at, as nginx has it.
const shortestReferer = len("http://i.ru")

func withoutScheme(value []byte) ([]byte, bool) {
	if len(value) < shortestReferer {
		return nil, false
	}
	for _, scheme := range []string{"http://", "https://"} {
		if bytes.EqualFold(value[:len(scheme)], []byte(scheme)) {
			return value[len(scheme):], true
		}
	}
	return nil, false
}
