// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"slices"
	"strconv"

	"weir/internal/http1"
)

// publicStatus is the code that a client sees for an internal one.
func publicStatus(status int) int {
	if _, ok := internalPhrase(status); ok {
		return 400
	}
	return status
}

// internalPhrase is what the page for one of nginx's own codes says, which clients see as 400.
func internalPhrase(status int) (phrase string, ok bool) {
	switch status {
	case 494:
		return "Request Header Or Cookie Too Large", true
	case 495:
		return "The SSL certificate error", true
	case 496:
		return "No required SSL certificate was sent", true
	case 497:
		return "The plain HTTP request was sent to HTTPS port", true
	}
	return "", false
}

// hasErrorBody says whether a built-in page belongs to the status.
func hasErrorBody(status int) bool {
	switch {
	case status >= 301 && status <= 303, status == 307, status == 308:
		return true
	case status >= 400 && status <= 406, status >= 408 && status <= 416:
		return true
	case status == 421, status == 429:
		return true
	}
	return status >= 500 && status <= 505 || status == 507
}

func appendErrorBody(dst []byte, status int, server string) []byte {
	dst = append(dst, "<html>\r\n<head><title>"...)
	phrase, internal := internalPhrase(status)
	if internal {
		dst = append(append(dst, "400 "...), phrase...)
	} else {
		dst = appendPageTitle(dst, status)
	}
	dst = append(dst, "</title></head>\r\n<body>\r\n<center><h1>"...)
	dst = append(appendPageTitle(dst, publicStatus(status)), "</h1></center>\r\n"...)
	if internal {
		dst = append(append(append(dst, "<center>"...), phrase...), "</center>\r\n"...)
	}
	dst = append(dst, "<hr><center>"...)
	dst = append(dst, server...)
	return append(dst, "</center>\r\n</body>\r\n</html>\r\n"...)
}

// appendPageTitle appends a code and what it means.
func appendPageTitle(dst []byte, status int) []byte {
	dst = strconv.AppendInt(dst, int64(status), 10)
	if phrase := pagePhrase(status); phrase != "" {
		dst = append(append(dst, ' '), phrase...)
	}
	return dst
}

// pagePhrase is what nginx's page says, which is not always what its status line does.
func pagePhrase(status int) string {
	switch status {
	case 302:
		return "Found"
	case 401:
		return "Authorization Required"
	}
	return http1.ReasonPhrase(status)
}

// pageFor is the page to answer a status with, or nil: there is none, or the answer is that of a page already.
func (r *Request) pageFor(status int) *ErrorPage {
	if r.fixed {
		return nil
	}
	return r.errorPage(status)
}

// errorPage is the location's page for a status, or nil.
func (r *Request) errorPage(status int) *ErrorPage {
	for i := range r.loc.ErrorPages {
		page := &r.loc.ErrorPages[i]
		if slices.Contains(page.Codes, status) {
			return page
		}
	}
	return nil
}

// showPage answers with an error page. What goes wrong on the way to it is answered as it is, unless recursive_error_pages is on.
func (r *Request) showPage(page *ErrorPage, status int) verdict {
	r.fixed = !r.loc.RecursivePages
	r.status = publicStatus(status)
	if page.Response > 0 {
		r.status = page.Response
	}
	if page.Text != nil {
		r.fixed = true
		a := &r.answerPage
		a.reset()
		if a.body = r.render(page.Text); a.body == nil {
			return r.noMemory()
		}
		a.contentType = "text/plain"
		return r.sendAnswer()
	}
	uri := r.render(page.URI) // it may ask for fields of the answer that is given up
	switch {
	case uri == nil:
		return r.noMemory()
	case len(uri) > 0 && uri[0] != '/' && uri[0] != '@', len(uri) == 0:
		r.fixed = true
		r.answerPage.reset()
		return r.redirectClient(pageRedirect(page.Response), uri)
	}
	if page.Response != 0 {
		r.errorStatus = r.status
	}
	r.status = 0
	if uri[0] == '/' {
		r.toGet()
		r.abandonOrigin()
		return r.redirectTo(uri)
	}
	if len(r.methodText()) == 0 {
		r.toGet()
	}
	r.abandonOrigin()
	return r.redirectToNamed(string(uri))
}

// pageRedirect is the code of a redirect to an error page.
func pageRedirect(response int) int {
	switch response {
	case 301, 302, 303, 307, 308:
		return response
	}
	return 302
}

// toGet makes the request one for another path: GET, unless it is HEAD. Its body goes along only if it is there as a whole, as with nginx.
func (r *Request) toGet() {
	if whole := r.bodyOpen && r.body.ReadDone() && (r.body.Keep || r.body.Wire == 0); !whole {
		r.withoutBody = r.withoutBody || r.hasBody
		if r.skipBody() != 0 || r.bodyUnread() && !r.mayDiscard() {
			r.closeClient = true
		}
	}
	if r.methodID != http1.MethodHead {
		r.methodID = http1.MethodGet
		r.method = methodGet
	}
}

var methodGet = []byte("GET") // read-only
