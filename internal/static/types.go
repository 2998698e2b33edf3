// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package static

// Types give the Content-Type of files by their extension.
type Types struct {
	byExtension map[string]string
	other       string
}

// extensionMax is the longest extension that is looked up.
const extensionMax = 64

// NewTypes makes a table of extensions in lower case, without the dot, and the type of all others (default_type), "" for none.
func NewTypes(byExtension map[string]string, other string) *Types {
	return &Types{byExtension: byExtension, other: other}
}

// Of is the type of a path. There may be no table: all is "text/plain".
func (t *Types) Of(path []byte) string {
	if t == nil {
		return "text/plain"
	}
	ext := Extension(path)
	if len(ext) == 0 || len(ext) > extensionMax {
		return t.other
	}
	var lower [extensionMax]byte
	for i, c := range ext {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	if typ, ok := t.byExtension[string(lower[:len(ext)])]; ok {
		return typ
	}
	return t.other
}

// Other is the type of files whose extension is not known.
func (t *Types) Other() string { return t.other }

// TypeSet is a set of content types, as gzip_types and charset_types have it.
type TypeSet struct {
	all   bool
	types map[string]bool
}

// NewTypeSet makes a set of types in lower case; "*" is all of them.
func NewTypeSet(types []string) *TypeSet {
	s := &TypeSet{types: map[string]bool{}}
	for _, t := range types {
		if t == "*" {
			s.all = true
		}
		s.types[t] = true
	}
	return s
}

// Has says whether the type of a field Content-Type, whose parameters do not matter, is in the set.
func (s *TypeSet) Has(contentType []byte) bool {
	if s.all {
		return true
	}
	n := 0
	for n < len(contentType) && contentType[n] != ';' && contentType[n] != ' ' {
		n++
	}
	var lower [128]byte
	if n == 0 || n > len(lower) {
		return false
	}
	for i, c := range contentType[:n] {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	return s.types[string(lower[:n])]
}
