// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package http1

import "bytes"

// Span is a piece of a head: offset from the head's first byte, and length. It stays valid when the buffer moves.
type Span struct{ Off, Len uint32 }

// Of is the piece in buf, which begins with the head's first byte.
func (s Span) Of(buf []byte) []byte { return buf[s.Off : s.Off+s.Len : s.Off+s.Len] }

// End is the offset of the first byte after the piece.
func (s Span) End() int { return int(s.Off + s.Len) }

func span(from, to int) Span { return Span{uint32(from), uint32(to - from)} }

// Field is one header field line. Value is without the white space around it.
type Field struct {
	Name, Value Span
	ID          FieldID
	Hop         bool // not to be forwarded: hop-by-hop, or named by Connection
	Plain       bool // the line is the name, a colon, one space, the value, CR LF: Name.Off to Value.End()+2
}

// Head is what a request head and a response head have in common. The fields are valid once Parse has said Done; Refusal
// once it has said Bad.
type Head struct {
	Fields        []Field // in the order of the head
	ContentLength int64   // -1: none
	Len           int     // bytes of the head, the empty line included: the body begins there
	Minor         uint8   // 0: HTTP/1.0, 1: HTTP/1.1 (and above, which is read as 1.1)
	Chunked       bool    // the body is chunked
	KeepAlive     bool    // the sender is willing to keep the connection after this message
	Upgrade       bool    // the sender asks for (or, with 101, agrees to) the protocol in Upgrade
	Refusal       Refusal // why the head is Bad

	stage   stage
	close   bool                // Connection names close
	keep    bool                // Connection names keep-alive
	upgrade bool                // Connection names upgrade
	line    int                 // start of the line being read
	scan    int                 // the line has no end and no control character before here
	seen    fieldSet            // known fields that are there
	again   fieldSet            // known fields that are there more than once
	first   [NumFieldIDs]uint16 // index of the first of them; only valid where seen has the id
	odd     Exceptions          // fields that are never copied with those around them; valid once Parse has said Done
	others  Exceptions          // fields with names that are not known, likewise
	last    lastHead
}

type stage uint8

const (
	stageFirst  stage = iota // the request or status line
	stageFields              // field lines
	stageDone
	stageBad
	stageRepeat // nothing has been read, but what was read before is still there: see lastHead
)

// reset makes the head ready for the next message and keeps the capacity of Fields. It does not touch the index.
func (h *Head) reset() {
	h.Fields = h.Fields[:0]
	h.ContentLength, h.Len = 0, 0
	h.Minor, h.Chunked, h.KeepAlive, h.Upgrade, h.Refusal = 0, false, false, false, RefusedNone
	h.stage, h.close, h.keep, h.upgrade = stageFirst, false, false, false
	h.line, h.scan, h.seen, h.again, h.odd, h.others = 0, 0, 0, 0, 0, 0
}

// Shrink gives up the memory of Fields if there is room for more than fields of them. It is for a head that is not needed any more; Reset comes
// before the next Parse.
func (h *Head) Shrink(fields int) {
	if cap(h.Fields) > fields {
		h.Fields, h.stage, h.last.size = nil, stageBad, 0
	}
}

func (h *Head) refuse(why Refusal) Verdict {
	h.stage, h.Refusal = stageBad, why
	return Bad
}

// RefusedField is the field that a Refusal is about, and the field before it of which it is a duplicate; nil: none. It is for the log; buf is what was parsed.
func (h *Head) RefusedField(buf []byte) (line, value, before []byte) {
	switch h.Refusal {
	case RefusedDuplicate:
		line = bytes.TrimRight(buf[h.line:h.scan], "\r\n")
		name, _, _ := bytes.Cut(line, []byte(":"))
		before, _ = h.text(buf, FieldByName(name))
	case RefusedContentLength:
		line, value = h.text(buf, FieldContentLength)
	case RefusedTransferEncoding:
		line, value = h.text(buf, FieldTransferEncoding)
	}
	return line, value, before
}

// text is the line of the first field of an id, which is there, and its value.
func (h *Head) text(buf []byte, id FieldID) (line, value []byte) {
	f := &h.Fields[h.first[id]]
	return buf[f.Name.Off:f.Value.End()], f.Value.Of(buf)
}

// Lookup is the index in Fields of the first field with the id, or -1. FieldOther is never found.
func (h *Head) Lookup(id FieldID) int {
	if id == FieldOther || !h.seen.has(id) {
		return -1
	}
	return int(h.first[id])
}

// Any says whether one of a set of fields (the bits 1<<id) is there.
func (h *Head) Any(set uint64) bool { return uint64(h.seen)&set != 0 }

// Repeats says whether one of a set of fields (the bits 1<<id) comes more than once.
func (h *Head) Repeats(set uint64) bool { return uint64(h.again)&set != 0 }

// Find is the index in Fields of the first field with the name, which is in lower case, or -1. buf begins with the head.
func (h *Head) Find(buf, lowerName []byte) int {
	if id := FieldByName(lowerName); id != FieldOther {
		return h.Lookup(id)
	}
	return h.FindNext(buf, lowerName, 0)
}

// FindNext is Find among the fields from index from on; it finds the further fields of one name.
func (h *Head) FindNext(buf, lowerName []byte, from int) int {
	for i := from; i < len(h.Fields); i++ {
		if f := &h.Fields[i]; int(f.Name.Len) == len(lowerName) && equalLower(f.Name.Of(buf), string(lowerName)) {
			return i
		}
	}
	return -1
}

// nextLine finds the end of the line that begins at h.line: Done with the end of its content in end and the start of the
// next line in h.scan, or More, or Bad. A line that is Done has no control characters but HT.
func (h *Head) nextLine(buf []byte, lim *Limits) (end int, v Verdict) {
	window := min(h.line+lim.LineBytes, lim.HeadBytes)
	i := controlIndex(buf, h.scan)
	if i+1 < len(buf) && i+2 <= window && buf[i] == '\r' && buf[i+1] == '\n' {
		h.scan = i + 2
		return i, Done
	}
	return h.unusualLine(buf, lim, window)
}

// unusualLine is nextLine for a line that is not there in full, has HT or a lone LF, or is Bad. What is behind the window is
// not looked at, so that the verdict does not depend on how much has arrived.
func (h *Head) unusualLine(buf []byte, lim *Limits, window int) (end int, v Verdict) {
	full := window <= len(buf)
	if full {
		buf = buf[:window]
	}
	i := controlIndex(buf, h.scan)
	for i < len(buf) && buf[i] == '\t' {
		i = controlIndex(buf, i+1)
	}
	switch {
	case i == len(buf):
	case buf[i] == '\n':
		h.scan = i + 1
		return i, Done
	case buf[i] != '\r':
		return 0, h.refuse(RefusedControl)
	case i+1 == len(buf): // its LF may come
	case buf[i+1] != '\n':
		return 0, h.refuse(RefusedBareCR)
	default:
		h.scan = i + 2
		return i, Done
	}
	if full {
		return 0, h.refuse(h.tooLong(lim))
	}
	h.scan = i
	return 0, More
}

// tooLong tells which limit the line at h.line has passed.
func (h *Head) tooLong(lim *Limits) Refusal {
	switch {
	case h.stage == stageFirst:
		return RefusedLineTooLong
	case h.line+lim.LineBytes <= lim.HeadBytes:
		return RefusedFieldTooLong
	default:
		return RefusedHeadTooLarge
	}
}

// parseFields reads field lines from h.line until the empty line (Done: Len is set), or until the bytes end (More). It leaves
// what is usual to usualFields, and reads one line itself wherever that stops.
func (h *Head) parseFields(buf []byte, lim *Limits, singles fieldSet, ignoreInvalid bool) Verdict {
	for {
		if h.scan == h.line && h.usualFields(buf, lim, singles, ignoreInvalid) {
			return Done
		}
		end, v := h.nextLine(buf, lim)
		if v != Done {
			return v
		}
		if end == h.line {
			h.Len = h.scan
			return Done
		}
		if why := h.parseField(buf[:end], lim, singles, ignoreInvalid); why != RefusedNone {
			return h.refuse(why)
		}
		h.line = h.scan
	}
}

// parseField reads the field line from h.line to the end of buf and adds it to Fields.
func (h *Head) parseField(buf []byte, lim *Limits, singles fieldSet, ignoreInvalid bool) Refusal {
	line := buf[h.line:]
	colon, class := 0, uint8(charName)
	for ; colon < len(line); colon++ {
		c := chars[line[colon]]
		if c&charToken == 0 {
			break
		}
		class &= c
	}
	if colon == 0 || colon == len(line) || line[colon] != ':' {
		return nameFault(line, ignoreInvalid)
	}
	id := FieldByName(line[:colon])
	if id == FieldOther {
		if class == 0 && ignoreInvalid && !(lim.Underscores && underscoresOnly(line[:colon])) {
			return RefusedNone
		}
	} else if h.seen.has(id) {
		if singles.has(id) {
			return RefusedDuplicate
		}
		h.again |= 1 << id
	} else {
		h.seen |= 1 << id
		h.first[id] = uint16(len(h.Fields))
	}
	if len(h.Fields) >= min(lim.Fields, maxFields) {
		return RefusedTooManyFields
	}
	from, to := colon+1, len(line)
	for from < to && (line[from] == ' ' || line[from] == '\t') {
		from++
	}
	for to > from && (line[to-1] == ' ' || line[to-1] == '\t') {
		to--
	}
	h.Fields = append(h.Fields, Field{
		Name:  Span{uint32(h.line), uint32(colon)},
		Value: Span{uint32(h.line + from), uint32(to - from)},
		ID:    id,
		Hop:   hopByHop.has(id),
	})
	return RefusedNone
}

// nameFault says what to do with a field line that does not begin with a token and a colon: refuse it, or, for a name with
// characters that are no token's but leave no doubt where it ends, drop it as nginx does.
func nameFault(line []byte, ignoreInvalid bool) Refusal {
	if line[0] == ' ' || line[0] == '\t' {
		return RefusedFold
	}
	colon := bytes.IndexByte(line, ':')
	switch {
	case colon < 0:
		return RefusedFieldLine
	case colon == 0 || !ignoreInvalid || bytes.ContainsAny(line[:colon], " \t"):
		return RefusedFieldName
	}
	return RefusedNone
}

// underscoresOnly says that a name has nothing but what nginx takes in a name, and underscores.
func underscoresOnly(name []byte) bool {
	for _, c := range name {
		if c != '_' && chars[c]&charName == 0 {
			return false
		}
	}
	return true
}
