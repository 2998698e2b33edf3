// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package http1

// NormalizePath appends to dst the path that raw, a path without query that begins with '/', stands for, as nginx makes
// its $uri: escapes are decoded, "//" becomes "/" if mergeSlashes, "/./" and "/../" are resolved. An escaped slash or dot
// counts as the character itself. It is false, and dst is as it was, if an escape is malformed, if there is a NUL,
// or if the path leads above its root. The asterisk form is taken as it is.
//
// The result is never longer than raw, so a dst with room for len(raw) more bytes is not allocated anew. dst and raw must
// not overlap.
func NormalizePath(dst, raw []byte, mergeSlashes bool) ([]byte, bool) {
	if len(raw) == 1 && raw[0] == '*' {
		return append(dst, '*'), true
	}
	if len(raw) == 0 || raw[0] != '/' {
		return dst, false
	}
	root := len(dst)
	out := append(dst, '/')
	segment := len(out) // start of the last segment of out: the byte after its slash
	for i := 1; i < len(raw); i++ {
		c := raw[i]
		if c == '%' {
			if i+2 >= len(raw) || unhex[raw[i+1]]|unhex[raw[i+2]] >= 16 {
				return dst, false
			}
			c = unhex[raw[i+1]]<<4 | unhex[raw[i+2]]
			i += 2
		}
		if c == 0 {
			return dst, false
		}
		if c != '/' {
			out = append(out, c)
			continue
		}
		switch {
		case len(out) == segment:
			if mergeSlashes {
				continue
			}
		case isDots(out[segment:]):
			var ok bool
			if out, ok = resolveDots(out, root, segment); !ok {
				return dst, false
			}
			segment = len(out)
			continue // out ends with the slash that was before
		}
		out = append(out, '/')
		segment = len(out)
	}
	if isDots(out[segment:]) {
		var ok bool
		if out, ok = resolveDots(out, root, segment); !ok {
			return dst, false
		}
	}
	return out, true
}

// UnescapePath appends raw to dst with its escapes decoded, and nothing else changed. False: an escape is malformed.
func UnescapePath(dst, raw []byte) ([]byte, bool) {
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c == '%' {
			if i+2 >= len(raw) || unhex[raw[i+1]]|unhex[raw[i+2]] >= 16 {
				return dst, false
			}
			c = unhex[raw[i+1]]<<4 | unhex[raw[i+2]]
			i += 2
		}
		dst = append(dst, c)
	}
	return dst, true
}

// isDots says whether a segment is "." or "..".
func isDots(segment []byte) bool {
	switch len(segment) {
	case 1:
		return segment[0] == '.'
	case 2:
		return segment[0] == '.' && segment[1] == '.'
	}
	return false
}

// resolveDots takes the dot segment at the end of out away, and for ".." the segment before it. The path begins at
// out[root]; false means that nothing is before it.
func resolveDots(out []byte, root, segment int) ([]byte, bool) {
	if len(out)-segment == 1 {
		return out[:segment], true
	}
	for i := segment - 2; i >= root; i-- {
		if out[i] == '/' {
			return out[:i+1], true
		}
	}
	return out, false
}

// AppendEscapedPath appends a normalized path so that it can be part of a request target: what nginx escapes there
// (NGX_ESCAPE_URI: controls, space, DEL and above, and any of "#%<>?\^`{|} with the quotation mark) becomes %XX.
func AppendEscapedPath(dst, path []byte) []byte {
	for _, c := range path {
		if chars[c]&charEscapePath == 0 {
			dst = append(dst, c)
		} else {
			dst = append(dst, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return dst
}

const (
	lowerHex = "0123456789abcdef"
	upperHex = "0123456789ABCDEF"
)
