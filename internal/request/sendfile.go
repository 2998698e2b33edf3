// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"weir/internal/buffer"
	"weir/internal/eventpipe"
	"weir/internal/http1"
	"weir/internal/static"
)

// sendFile answers with the file that has been opened: with all of it, a part, parts, or the word that the client has it.
func (r *Request) sendFile() verdict {
	f, s := r.loc.Files, &r.file
	if v, ok := r.refuseBody(); !ok {
		s.close()
		return v
	}
	s.contentType = r.loc.Types.Of(r.path)
	if kept := r.accel.contentType; kept != nil {
		s.contentType = string(kept)
	}
	s.etagLen = 0
	if f.Etag {
		s.etagLen = len(static.AppendETag(s.etagText[:0], s.MtimeSec, s.Size))
	}
	s.from, s.length, s.ranges.Count, s.left = 0, s.Size, 0, false
	r.answerPage.reset()
	r.answerPage.file = true
	r.status = 200
	if r.errorStatus == 200 { // as with nginx, an error page that is said to be none
		r.errorStatus = 0
	}
	if r.errorStatus != 0 { // an error page: conditions and ranges are about the page that was asked for
		if r.status = r.errorStatus; bodyAllowed(r.status) {
			r.filterFile()
		} else {
			s.length = 0
		}
		return r.sendAnswer()
	}
	if r.sub != nil { // what the client's fields ask for is not about this file
		return r.sendAnswer()
	}
	switch status := r.checkConditions(s.etag(), s.MtimeSec); status {
	case 304:
		r.tagLikeGzip()
		r.status = status
		s.length = 0
		return r.sendAnswer()
	case 412:
		s.close()
		return r.answer(status)
	}
	r.filterFile()
	if field := r.fieldOf(http1.FieldRange); field != nil && r.takesRanges() {
		return r.sendRange(field)
	}
	return r.sendAnswer()
}

// takesRanges says whether parts of the file can be asked for: as in nginx not of one that is packed.
func (r *Request) takesRanges() bool {
	return r.loc.Files.MaxRanges > 0 && !r.out.unsized && !r.file.packed
}

// filterFile decides what becomes of the file on its way.
func (r *Request) filterFile() {
	if r.loc.Filters != nil {
		c := content{contentType: []byte(r.file.contentType), length: r.file.Size}
		if r.file.packed {
			c.encoding = encodingGzip
		}
		r.filter(c)
	}
}

// tagLikeGzip has a 304 carry Vary and the tag that the file would have, also where it would go out compressed (RFC 9110 section 15.4.5).
func (r *Request) tagLikeGzip() {
	if f := r.loc.Filters; f != nil && f.Gzip != nil && !r.file.packed && r.couldGzip([]byte(r.file.contentType), r.file.Size) {
		r.out.weak = r.takesGzip(f.Gzip)
	}
}

var encodingGzip = []byte("gzip") // read-only

// sendRange answers with what the field Range asks for.
func (r *Request) sendRange(field []byte) verdict {
	f, s := r.loc.Files, &r.file
	if !static.IfRange(r.fieldOf(http1.FieldIfRange), s.etag(), s.MtimeSec) {
		return r.sendAnswer()
	}
	var outcome static.Outcome
	s.ranges, outcome = static.ParseRange(field, s.Size, f.MaxRanges)
	switch {
	case outcome == static.Unsatisfiable:
		s.outside = s.Size + 1
		s.close()
		return r.answer(416)
	case outcome == static.Whole:
		s.ranges.Count = 0
		return r.sendAnswer()
	}
	r.status = 206
	if s.ranges.Count == 1 {
		s.from, s.length = s.ranges.First.Start, s.ranges.First.Len()
		return r.sendAnswer()
	}
	r.engine.boundary++
	s.parts = static.Parts{Boundary: r.engine.boundary, ContentType: s.contentType}
	if r.out.charset.changed {
		s.parts.ContentType = string(r.out.appendType(nil, []byte(s.contentType)))
	}
	s.length, s.next, s.left = s.parts.Length(&s.ranges), 0, true
	return r.sendAnswer()
}

// fieldOf is the value of a field of the request; nil: it has none.
func (r *Request) fieldOf(id http1.FieldID) []byte {
	i := r.head.Lookup(id)
	if i < 0 {
		return nil
	}
	return r.headOf(r.head.Fields[i].Value)
}

// listOf is the value of a field of the request that is a list, of all its lines; nil: it has none.
func (r *Request) listOf(id http1.FieldID) []byte {
	if !r.head.Repeats(1 << id) {
		return r.fieldOf(id)
	}
	text, _ := r.appendFieldsOf(r.engine.takeScratch(), id)
	return r.endScratch(text)
}

// conditional are the fields that make an answer depend on what the client has.
const conditional = 1<<http1.FieldIfMatch | 1<<http1.FieldIfNoneMatch | 1<<http1.FieldIfModifiedSince | 1<<http1.FieldIfUnmodifiedSince

// checkConditions says what the request's conditions come to; see static.Conditions.
func (r *Request) checkConditions(etag []byte, mtimeSec int64) int {
	c := static.Conditions{
		IfMatch: r.fieldOf(http1.FieldIfMatch), IfNoneMatch: r.fieldOf(http1.FieldIfNoneMatch),
		IfModifiedSince: r.fieldOf(http1.FieldIfModifiedSince), IfUnmodifiedSince: r.fieldOf(http1.FieldIfUnmodifiedSince),
	}
	var since static.Since
	if f := r.loc.Files; f != nil {
		since = f.Since
	}
	return c.Check(etag, mtimeSec, since)
}

// writeFile makes the head of an answer with a file in b, and hands both to the pipe.
func (r *Request) writeFile(b *buffer.Block) verdict {
	s := &r.file
	o := eventpipe.Options{Framing: eventpipe.NoBody, SinkRate: r.clientRate(false)}
	sends := r.hasAnswerBody()
	if sends && r.out.added && !r.fetchAdded() {
		r.engine.Pool.Release(b)
		return wait
	}
	r.frame(sends)
	r.shape(&o)
	head := r.appendFileHead(headSpace(b))
	r.headBytes = int64(len(head))
	r.keepHead(head)
	if !r.openRelay(&o, b, head) {
		return r.answerShort()
	}
	if r.out.added && !r.pushAdded(addedBefore) {
		return r.abortResponse()
	}
	if r.methodID == http1.MethodHead || s.length == 0 {
		s.left = false
	} else if !s.left {
		r.relayPipe.PushFile(s.FD, s.from, s.length)
	}
	r.relayPipe.More = s.left || len(r.added.texts[addedAfter]) > 0
	return r.become(StateRelay)
}

// partsAtOnce bounds the parts of a body that are handed to the pipe at a time.
const partsAtOnce = 32

// moreParts hands the next parts of a body to the pipe, once those before are on their way. False: there is no block for what stands between
// them, and the request waits for one.
func (r *Request) moreParts() bool {
	b := r.acquire(buffer.ClassResponse)
	if b == nil {
		return false
	}
	s := &r.file
	s.ranges.SetText(r.fieldOf(http1.FieldRange)) // it may have been moved
	text := headSpace(b)
	for n := 0; ; n++ {
		one, next, ok := s.ranges.Next(s.next)
		from := len(text)
		if !ok {
			text = s.parts.AppendEnd(text)
			s.left, r.relayPipe.More = false, false
			r.relayPipe.PushPiece(b, from, len(text), true)
			return true
		}
		text = s.parts.AppendHead(text, one, s.Size)
		last := n == partsAtOnce-1 || len(b.Data)-len(text) < 2*(len(text)-from)+64
		r.relayPipe.PushPiece(b, from, len(text), last)
		r.relayPipe.PushFile(s.FD, one.Start, one.Len())
		s.next = next
		if last {
			return true
		}
	}
}

// dated says whether an answer with a status has the file's Last-Modified: not one that error_page has given another status, as with nginx.
func dated(status int) bool { return status == 200 || status == 206 || status == 304 }

// appendFileHead makes the head of an answer with a file.
func (r *Request) appendFileHead(dst []byte) []byte {
	s := &r.file
	several := s.ranges.Count > 1
	dst = http1.AppendStatusLine(dst, r.status)
	dst = append(append(dst, r.loc.ServerLine...), r.engine.Clock.DateLine()...)
	if bodyAllowed(r.status) {
		switch {
		case several:
			dst = append(s.parts.AppendContentType(append(dst, "Content-Type: "...)), '\r', '\n')
		case len(s.contentType) > 0:
			dst = append(r.out.appendType(append(dst, "Content-Type: "...), []byte(s.contentType)), '\r', '\n')
		}
		if r.out.sized() {
			dst = http1.AppendFieldInt(dst, "Content-Length", s.length)
		}
	}
	if dated(r.status) && !r.out.dropped.Has(http1.FieldLastModified) {
		dst = append(static.AppendDate(append(dst, "Last-Modified: "...), s.MtimeSec), '\r', '\n')
	}
	dst = r.appendKept(dst)
	if r.out.chunked {
		dst = append(dst, chunkedLine...)
	}
	dst = r.appendConnection(dst)
	if r.out.vary {
		dst = append(dst, varyLine...)
	}
	if s.etagLen > 0 && !r.out.dropped.Has(http1.FieldETag) {
		dst = append(dst, "ETag: "...)
		if r.out.weak {
			dst = append(dst, "W/"...)
		}
		dst = append(append(dst, s.etag()...), '\r', '\n')
	}
	dst = r.appendAuthenticate(dst)
	dst = r.appendAddHeaders(dst)
	dst = r.appendGzipFields(dst)
	if s.packed && bodyAllowed(r.status) && !r.out.dropped.Has(http1.FieldContentEncoding) {
		dst = append(dst, "Content-Encoding: gzip\r\n"...)
	}
	switch {
	case r.status == 206 && !several:
		dst = append(s.ranges.First.AppendContentRange(append(dst, "Content-Range: "...), s.Size), '\r', '\n')
	case r.status == 200 && r.takesRanges():
		dst = append(dst, "Accept-Ranges: bytes\r\n"...)
	}
	return append(dst, '\r', '\n')
}
