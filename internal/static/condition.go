// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package static

// Since is how If-Modified-Since is compared: if_modified_since.
type Since uint8

// The ways.
const (
	SinceExact  Since = iota // the time must be the file's
	SinceBefore              // the file's must not be later
	SinceOff                 // the field is ignored
)

// Conditions are the fields of a request that it depends on. nil: the request does not have it.
type Conditions struct {
	IfMatch, IfNoneMatch, IfModifiedSince, IfUnmodifiedSince []byte
}

// Check says what the conditions come to for a file, or an answer, with such a tag ("": none) and time of last change (negative: not known): 200, 304 or 412. The order is that of RFC
// 9110 section 13.2.2: a condition on tags takes the place of the one on the time. A time that is none is ignored.
func (c *Conditions) Check(etag []byte, mtimeSec int64, since Since) int {
	if c.IfMatch != nil {
		if !matches(c.IfMatch, etag, false) {
			return 412
		}
	} else if c.IfUnmodifiedSince != nil && mtimeSec >= 0 {
		if t, ok := ParseDate(c.IfUnmodifiedSince); ok && t < mtimeSec {
			return 412
		}
	}
	same := false
	if c.IfNoneMatch != nil {
		same = matches(c.IfNoneMatch, etag, true)
	} else if c.IfModifiedSince != nil && since != SinceOff && mtimeSec >= 0 {
		t, ok := ParseDate(c.IfModifiedSince)
		same = ok && (t == mtimeSec || since == SinceBefore && t > mtimeSec)
	}
	if same {
		return 304
	}
	return 200
}

// matches says whether etag is in a list of tags, or the list is "*". weak: a tag that is marked as weak counts as well (RFC 9110 section 8.8.3.2).
func matches(list, etag []byte, weak bool) bool {
	if len(list) == 1 && list[0] == '*' {
		return true
	}
	if len(etag) == 0 {
		return false
	}
	if weak {
		etag = strong(etag)
	}
	for len(list) > 0 {
		if weak {
			list = strong(list)
		}
		if len(etag) > len(list) {
			return false
		}
		if string(list[:len(etag)]) == string(etag) {
			list = list[len(etag):]
			for len(list) > 0 && (list[0] == ' ' || list[0] == '\t') {
				list = list[1:]
			}
			if len(list) == 0 || list[0] == ',' {
				return true
			}
		}
		for len(list) > 0 && list[0] != ',' {
			list = list[1:]
		}
		for len(list) > 0 && (list[0] == ' ' || list[0] == '\t' || list[0] == ',') {
			list = list[1:]
		}
	}
	return false
}

// strong is a tag without the mark of a weak one.
func strong(tag []byte) []byte {
	if len(tag) > 2 && tag[0] == 'W' && tag[1] == '/' {
		return tag[2:]
	}
	return tag
}

// IfRange says whether the field If-Range allows a part to be sent of a file with such a tag and time: it must name exactly that file. A
// field of nil allows it.
func IfRange(field, etag []byte, mtimeSec int64) bool {
	switch n := len(field); {
	case field == nil:
		return true
	case n >= 2 && field[n-1] == '"':
		return string(field) == string(etag) // a weak tag is not equal to any (RFC 9110 section 13.1.5)
	}
	t, ok := ParseDate(field)
	return ok && t == mtimeSec
}
