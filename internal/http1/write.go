// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package http1

import "strconv"

// LastChunk ends a chunked body that has no trailer fields.
const LastChunk = "0\r\n\r\n"

// AppendStatusLine appends "HTTP/1.1 CODE REASON\r\n" with nginx's reason. A code without one gets an empty reason; the space
// before it stays, as RFC 9112 section 4 wants it. code is 100 to 999.
func AppendStatusLine(dst []byte, code int) []byte {
	return append(append(appendStatus(dst, code), ReasonPhrase(code)...), '\r', '\n')
}

// AppendStatusLineReason is AppendStatusLine with the reason of an origin, which must be free of control characters but HT.
func AppendStatusLineReason(dst []byte, code int, reason []byte) []byte {
	return append(append(appendStatus(dst, code), reason...), '\r', '\n')
}

func appendStatus(dst []byte, code int) []byte {
	d := StatusDigits(code)
	return append(dst, 'H', 'T', 'T', 'P', '/', '1', '.', '1', ' ', d[0], d[1], d[2], ' ')
}

// StatusDigits is a status code in three digits. code is 0 to 999.
func StatusDigits(code int) [3]byte {
	hundreds := uint32(code) / 100
	rest := uint32(code) - 100*hundreds
	tens := rest / 10
	return [3]byte{'0' + byte(hundreds), '0' + byte(tens), '0' + byte(rest-10*tens)}
}

// AppendField appends "Name: value\r\n". Neither may have CR, LF or NUL: that is the caller's to know.
func AppendField(dst []byte, name string, value []byte) []byte {
	dst = append(append(dst, name...), ':', ' ')
	return append(append(dst, value...), '\r', '\n')
}

// AppendFieldString is AppendField for a string.
func AppendFieldString(dst []byte, name, value string) []byte {
	dst = append(append(dst, name...), ':', ' ')
	return append(append(dst, value...), '\r', '\n')
}

// AppendFieldBytes is AppendField for a name that comes from a head.
func AppendFieldBytes(dst, name, value []byte) []byte {
	dst = append(append(dst, name...), ':', ' ')
	return append(append(dst, value...), '\r', '\n')
}

// IsToken says whether text is a token (RFC 9110 section 5.6.2): the name of a field, a method.
func IsToken(text []byte) bool {
	for _, c := range text {
		if chars[c]&charToken == 0 {
			return false
		}
	}
	return len(text) > 0
}

// AppendFieldInt appends "Name: n\r\n" with n in decimal, for Content-Length and the like.
func AppendFieldInt(dst []byte, name string, n int64) []byte {
	dst = append(append(dst, name...), ':', ' ')
	return append(AppendDecimal(dst, n), '\r', '\n')
}

// AppendDecimal appends n in decimal.
func AppendDecimal(dst []byte, n int64) []byte { return strconv.AppendInt(dst, n, 10) }

// AppendHex appends n in lower-case hexadecimal without leading zeros, as nginx writes chunk sizes.
func AppendHex(dst []byte, n uint64) []byte {
	shift := 0
	for n>>shift > 15 && shift < 60 {
		shift += 4
	}
	for ; shift >= 0; shift -= 4 {
		dst = append(dst, lowerHex[n>>shift&15])
	}
	return dst
}

// AppendChunkHead appends the size line of a chunk with n bytes of data, n > 0. CR LF must follow the data.
func AppendChunkHead(dst []byte, n int) []byte {
	if n <= 0 {
		panic("http1: AppendChunkHead: a chunk without data is the last chunk")
	}
	return append(AppendHex(dst, uint64(n)), '\r', '\n')
}

// ReasonPhrase is nginx's reason phrase for a status code, or "".
func ReasonPhrase(code int) string {
	if code < 100 || code >= 100+len(reasons) {
		return ""
	}
	return reasons[code-100]
}

// reasons begins at 100. Where nginx has no text of its own the one of RFC 9110 stands.
var reasons = [...]string{
	0:   "Continue",
	1:   "Switching Protocols",
	3:   "Early Hints",
	100: "OK",
	101: "Created",
	102: "Accepted",
	103: "Non-Authoritative Information",
	104: "No Content",
	105: "Reset Content",
	106: "Partial Content",
	200: "Multiple Choices",
	201: "Moved Permanently",
	202: "Moved Temporarily",
	203: "See Other",
	204: "Not Modified",
	207: "Temporary Redirect",
	208: "Permanent Redirect",
	300: "Bad Request",
	301: "Unauthorized",
	302: "Payment Required",
	303: "Forbidden",
	304: "Not Found",
	305: "Not Allowed",
	306: "Not Acceptable",
	307: "Proxy Authentication Required",
	308: "Request Time-out",
	309: "Conflict",
	310: "Gone",
	311: "Length Required",
	312: "Precondition Failed",
	313: "Request Entity Too Large",
	314: "Request-URI Too Large",
	315: "Unsupported Media Type",
	316: "Requested Range Not Satisfiable",
	317: "Expectation Failed",
	321: "Misdirected Request",
	322: "Unprocessable Content",
	325: "Too Early",
	326: "Upgrade Required",
	329: "Too Many Requests",
	331: "Request Header Fields Too Large",
	400: "Internal Server Error",
	401: "Not Implemented",
	402: "Bad Gateway",
	403: "Service Temporarily Unavailable",
	404: "Gateway Time-out",
	405: "HTTP Version Not Supported",
	407: "Insufficient Storage",
}
