// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

// The form of a traceparent of version 00: https://www.w3.org/TR/trace-context/#traceparent-header
//
//	00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
//	0  3                                36               53
const (
	traceIDAt    = 3
	parentIDAt   = 36
	traceFlagsAt = 53
	traceLength  = 55
)

// appendTraceParent appends $traceparent: the client's, if it is valid, or else a new trace that begins with this request. It is the same each time.
func (r *Request) appendTraceParent(dst []byte) []byte {
	start := len(dst)
	if dst, _ = r.appendNamedField(dst, "traceparent"); validTrace(dst[start:]) {
		return dst
	}
	dst = append(dst[:start], "00-"...)
	dst = r.id.append(dst)
	dst = append(dst, '-')
	dst = append(dst, r.id.text[16:]...)
	return append(dst, "-01"...)
}

// appendTraceState appends $tracestate: the client's, which means nothing without the trace that it belongs to.
func (r *Request) appendTraceState(dst []byte) ([]byte, bool) {
	start := len(dst)
	dst, _ = r.appendNamedField(dst, "traceparent")
	valid := validTrace(dst[start:])
	if dst = dst[:start]; !valid {
		return dst, false
	}
	return r.appendNamedField(dst, "tracestate")
}

// validTrace says whether v is a traceparent of any version. Those after 00 may be longer.
func validTrace(v []byte) bool {
	if len(v) < traceLength || v[2] != '-' || v[parentIDAt-1] != '-' || v[traceFlagsAt-1] != '-' {
		return false
	}
	version := string(v[:2])
	switch {
	case version == "ff" || version == "00" && len(v) > traceLength || len(v) > traceLength && v[traceLength] != '-':
		return false
	}
	_, ok1 := lowerHex(v[:2])
	trace, ok2 := lowerHex(v[traceIDAt : parentIDAt-1])
	parent, ok3 := lowerHex(v[parentIDAt : traceFlagsAt-1])
	_, ok4 := lowerHex(v[traceFlagsAt:traceLength])
	return ok1 && ok2 && ok3 && ok4 && trace && parent
}

// lowerHex says whether all of v are hexadecimal digits in lower case, and whether one is not 0.
func lowerHex(v []byte) (some, ok bool) {
	for _, c := range v {
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'f') {
			return false, false
		}
		some = some || c != '0'
	}
	return some, true
}
