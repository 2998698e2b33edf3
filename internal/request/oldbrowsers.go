// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"weir/internal/lookup"
)

// pagePadding makes a page longer than the 512 bytes from which on MSIE and Chrome show it.
const pagePadding = "" +
	"<!-- a padding to disable MSIE and Chrome friendly error page -->\r\n" +
	"<!-- a padding to disable MSIE and Chrome friendly error page -->\r\n" +
	"<!-- a padding to disable MSIE and Chrome friendly error page -->\r\n" +
	"<!-- a padding to disable MSIE and Chrome friendly error page -->\r\n" +
	"<!-- a padding to disable MSIE and Chrome friendly error page -->\r\n" +
	"<!-- a padding to disable MSIE and Chrome friendly error page -->\r\n"

// padsPage says whether the built-in page of a status is made longer for the client.
func (r *Request) padsPage(status int) bool {
	return r.loc.PadPages && status >= 400 && r.head.LineTaken() && lookup.WantsPadding(r.agent())
}

// refresh answers with a page that takes the browser to another address, in place of a redirect; nil: there is no memory for it.
func (r *Request) refresh(to []byte) verdict {
	a := &r.answerPage
	a.reset()
	page := append(r.arena.Begin(3*len(to)+errorBodyRoom), `<html><head><meta http-equiv="Refresh" content="0; URL=`...)
	page = appendRefreshURL(page, to)
	if a.body = r.arena.End(append(page, "\"></head><body></body></html>\r\n"...)); a.body == nil {
		return r.noMemory()
	}
	r.status, a.contentType = 200, "text/html"
	return r.sendAnswer()
}

// appendRefreshURL escapes what could end the attribute that the address stands in.
func appendRefreshURL(dst, to []byte) []byte {
	const hex = "0123456789ABCDEF"
	for _, c := range to {
		if c <= ' ' || c >= 127 || c == '"' || c == '\'' {
			dst = append(dst, '%', hex[c>>4], hex[c&15])
			continue
		}
		dst = append(dst, c)
	}
	return dst
}
