// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package http1

// parseContentLength reads 1*DIGIT that fits 63 bits (RFC 9112 section 6.2). A list of equal numbers, which the RFC allows
// to accept, is refused.
func parseContentLength(b []byte) (int64, bool) {
	const largest = 1<<63 - 1
	if len(b) == 0 {
		return 0, false
	}
	var n uint64
	for _, c := range b {
		d := uint64(c - '0')
		if d > 9 || n > (largest-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	return int64(n), true
}

// parseFraming reads Content-Length and Transfer-Encoding, of which there is at most one each.
func (h *Head) parseFraming(buf []byte) Refusal {
	h.ContentLength = -1
	length, coding := h.Lookup(FieldContentLength), h.Lookup(FieldTransferEncoding)
	if length >= 0 {
		n, ok := parseContentLength(h.Fields[length].Value.Of(buf))
		if !ok {
			return RefusedContentLength
		}
		h.ContentLength = n
	}
	if coding >= 0 {
		switch {
		case h.Minor == 0:
			return RefusedCodingVersion
		case length >= 0:
			return RefusedBothFramings
		case !equalLower(h.Fields[coding].Value.Of(buf), "chunked"):
			return RefusedTransferEncoding
		}
		h.Chunked = true
	}
	return RefusedNone
}

// parseConnection reads every Connection field (RFC 9110 section 7.6.1): close, keep-alive and upgrade are kept, and the
// fields that it names become Hop. What is not a token is ignored.
func (h *Head) parseConnection(buf []byte) Refusal {
	first, end := int(h.first[FieldConnection]), len(h.Fields)
	if !h.again.has(FieldConnection) {
		if equalLower(h.Fields[first].Value.Of(buf), "keep-alive") {
			h.keep = true
			return RefusedNone
		}
		end = first + 1
	}
	options := 0
	for i := first; i < end; i++ {
		if h.Fields[i].ID != FieldConnection {
			continue
		}
		list := h.Fields[i].Value.Of(buf)
		for len(list) > 0 {
			comma := 0
			for comma < len(list) && list[comma] != ',' {
				comma++
			}
			option := list[:comma]
			list = list[min(comma+1, len(list)):]
			if option = trim(option); len(option) == 0 {
				continue
			}
			if options++; options > maxConnectionOptions {
				return RefusedConnection
			}
			h.connectionOption(buf, option)
		}
	}
	return RefusedNone
}

func (h *Head) connectionOption(buf, option []byte) {
	switch {
	case equalLower(option, "close"):
		h.close = true
	case equalLower(option, "keep-alive"):
		h.keep = true
	case equalLower(option, "upgrade"):
		h.upgrade = true
	default:
		h.markHop(buf, option)
	}
}

// markHop marks the fields with the name, in any case, unless they are intended for all recipients.
func (h *Head) markHop(buf, name []byte) {
	if id := FieldByName(name); id != FieldOther {
		if !h.seen.has(id) || intendedForAll.has(id) {
			return
		}
		for i := int(h.first[id]); i < len(h.Fields); i++ {
			if h.Fields[i].ID == id {
				h.Fields[i].Hop = true
			}
		}
		return
	}
	for i := range h.Fields {
		f := &h.Fields[i]
		if int(f.Name.Len) == len(name) && f.ID == FieldOther && equalFold(f.Name.Of(buf), name) {
			f.Hop = true
		}
	}
}

// persistence says whether the sender keeps the connection (RFC 9112 section 9.3); close wins over keep-alive.
func (h *Head) persistence() bool {
	return !h.close && (h.Minor == 1 || h.keep)
}

func equalFold(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i, c := range a {
		if lower[c] != lower[b[i]] {
			return false
		}
	}
	return true
}

// trim takes the optional white space off both ends.
func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}
