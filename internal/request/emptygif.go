// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import "weir/internal/http1"

// emptyGIF is a transparent picture of one dot, as ngx_http_empty_gif_module has it. Read-only.
var emptyGIF = []byte("GIF89a\x01\x00\x01\x00\x80\x01\x00\x00\x00\x00\xff\xff\xff" + "!\xf9\x04\x01\x00\x00\x01\x00" + ",\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02L\x01\x00;")

// answerGIF answers with it.
func (r *Request) answerGIF() verdict {
	if r.methodID != http1.MethodGet && r.methodID != http1.MethodHead {
		return r.answer(405)
	}
	r.status = 200
	a := &r.answerPage
	a.reset()
	a.body, a.contentType, a.modified = emptyGIF, "image/gif", emptyGIFModified
	return r.sendAnswer()
}

// emptyGIFModified is what nginx says of when it was made.
const emptyGIFModified = "Mon, 28 Sep 1970 06:00:00 GMT"
