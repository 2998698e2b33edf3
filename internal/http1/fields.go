// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package http1

import (
	"bytes"
	"encoding/binary"
)

// FieldID names a known header field. Fields that this package does not know are FieldOther.
type FieldID uint8

// The known fields: those that HTTP/1.1 itself gives a meaning, and those that a proxy or nginx's variables ask for.
const (
	FieldOther FieldID = iota
	FieldHost
	FieldConnection
	FieldContentLength
	FieldTransferEncoding
	FieldKeepAlive
	FieldProxyConnection
	FieldTE
	FieldTrailer
	FieldUpgrade
	FieldHTTP2Settings
	FieldExpect
	FieldAccept
	FieldAcceptCharset
	FieldAcceptEncoding
	FieldAcceptLanguage
	FieldAcceptRanges
	FieldAge
	FieldAuthorization
	FieldCacheControl
	FieldContentDisposition
	FieldContentEncoding
	FieldContentRange
	FieldContentType
	FieldCookie
	FieldDate
	FieldETag
	FieldExpires
	FieldForwarded
	FieldIfMatch
	FieldIfModifiedSince
	FieldIfNoneMatch
	FieldIfRange
	FieldIfUnmodifiedSince
	FieldLastModified
	FieldLink
	FieldLocation
	FieldOrigin
	FieldPragma
	FieldProxyAuthenticate
	FieldProxyAuthorization
	FieldRange
	FieldReferer
	FieldRefresh
	FieldRetryAfter
	FieldServer
	FieldSetCookie
	FieldStrictTransportSecurity
	FieldUserAgent
	FieldVary
	FieldVia
	FieldWWWAuthenticate
	FieldXAccelBuffering
	FieldXAccelCharset
	FieldXAccelExpires
	FieldXAccelLimitRate
	FieldXAccelRedirect
	FieldXForwardedFor
	FieldXForwardedHost
	FieldXForwardedProto
	FieldXRealIP
	FieldXRequestID
	FieldXPoweredBy
	// NumFieldIDs is the number of ids, FieldOther among them; at most 64, since sets of ids are words.
	NumFieldIDs
)

// fieldNames is the usual spelling of each name.
var fieldNames = [NumFieldIDs]string{
	FieldHost:                    "Host",
	FieldConnection:              "Connection",
	FieldContentLength:           "Content-Length",
	FieldTransferEncoding:        "Transfer-Encoding",
	FieldKeepAlive:               "Keep-Alive",
	FieldProxyConnection:         "Proxy-Connection",
	FieldTE:                      "TE",
	FieldTrailer:                 "Trailer",
	FieldUpgrade:                 "Upgrade",
	FieldHTTP2Settings:           "HTTP2-Settings",
	FieldExpect:                  "Expect",
	FieldAccept:                  "Accept",
	FieldAcceptCharset:           "Accept-Charset",
	FieldAcceptEncoding:          "Accept-Encoding",
	FieldAcceptLanguage:          "Accept-Language",
	FieldAcceptRanges:            "Accept-Ranges",
	FieldAge:                     "Age",
	FieldAuthorization:           "Authorization",
	FieldCacheControl:            "Cache-Control",
	FieldContentDisposition:      "Content-Disposition",
	FieldContentEncoding:         "Content-Encoding",
	FieldContentRange:            "Content-Range",
	FieldContentType:             "Content-Type",
	FieldCookie:                  "Cookie",
	FieldDate:                    "Date",
	FieldETag:                    "ETag",
	FieldExpires:                 "Expires",
	FieldForwarded:               "Forwarded",
	FieldIfMatch:                 "If-Match",
	FieldIfModifiedSince:         "If-Modified-Since",
	FieldIfNoneMatch:             "If-None-Match",
	FieldIfRange:                 "If-Range",
	FieldIfUnmodifiedSince:       "If-Unmodified-Since",
	FieldLastModified:            "Last-Modified",
	FieldLink:                    "Link",
	FieldLocation:                "Location",
	FieldOrigin:                  "Origin",
	FieldPragma:                  "Pragma",
	FieldProxyAuthenticate:       "Proxy-Authenticate",
	FieldProxyAuthorization:      "Proxy-Authorization",
	FieldRange:                   "Range",
	FieldReferer:                 "Referer",
	FieldRefresh:                 "Refresh",
	FieldRetryAfter:              "Retry-After",
	FieldServer:                  "Server",
	FieldSetCookie:               "Set-Cookie",
	FieldStrictTransportSecurity: "Strict-Transport-Security",
	FieldUserAgent:               "User-Agent",
	FieldVary:                    "Vary",
	FieldVia:                     "Via",
	FieldWWWAuthenticate:         "WWW-Authenticate",
	FieldXAccelBuffering:         "X-Accel-Buffering",
	FieldXAccelCharset:           "X-Accel-Charset",
	FieldXAccelExpires:           "X-Accel-Expires",
	FieldXAccelLimitRate:         "X-Accel-Limit-Rate",
	FieldXAccelRedirect:          "X-Accel-Redirect",
	FieldXForwardedFor:           "X-Forwarded-For",
	FieldXForwardedHost:          "X-Forwarded-Host",
	FieldXForwardedProto:         "X-Forwarded-Proto",
	FieldXRealIP:                 "X-Real-IP",
	FieldXRequestID:              "X-Request-ID",
	FieldXPoweredBy:              "X-Powered-By",
}

// knownName is what a name is compared with: in lower case, its first and its last eight bytes as words. They overlap in a
// name shorter than sixteen, and in one shorter than eight they are the same, with zeros behind. The case masks have the bit
// that tells the case of a letter, for the letters only: with it out of the way, words are equal without regard to case.
type knownName struct {
	first, last         uint64
	firstCase, lastCase uint64
	mask                uint64 // the bytes of a word that belong to the name
	size, lastAt        int
	middle              [16]byte // what is between the words
}

// is says that the words are the name's, but for what is between them.
func (k *knownName) is(first, last uint64) bool {
	return (first^k.first)&^k.firstCase|(last^k.last)&^k.lastCase == 0
}

// isMiddle says that what is between the words of a name of the right size is the name's.
func (k *knownName) isMiddle(name []byte) bool {
	return k.size <= 16 || equalLower(name[8:k.size-8], string(k.middle[:k.size-16]))
}

// knownNames is what each known field compares with.
var knownNames = func() (t [64]knownName) {
	for id, name := range fieldNames {
		k := &t[id]
		k.size, k.lastAt = len(name), max(0, len(name)-8)
		k.mask = ^uint64(0) >> (8 * max(0, 8-len(name)))
		k.first, k.last = nameWords(lowerNames[id])
		first, last := nameWords(bytes.ToUpper(lowerNames[id]))
		k.firstCase, k.lastCase = k.first^first, k.last^last
		if len(name) > 16 {
			copy(k.middle[:], lowerNames[id][8:len(name)-8])
		}
	}
	return t
}()

// fieldTable finds the id by nameHash. The multiplier in nameHash is such that no two known names meet; a new name that meets
// another one shows at start-up, and a search over random odd numbers finds a new multiplier.
var fieldTable = func() (t [256]FieldID) {
	for id := FieldOther + 1; id < NumFieldIDs; id++ {
		h := nameHash(knownNames[id].first, knownNames[id].last)
		if t[h] != FieldOther {
			panic("http1: fieldTable: " + fieldNames[id] + " meets " + fieldNames[t[h]] + ": change the multiplier of nameHash")
		}
		t[h] = id
	}
	return t
}()

func nameHash(first, last uint64) uint8 {
	return uint8(((first | caseBits) + 3*(last|caseBits)) * 0xeffddeeaa842bc19 >> 56)
}

// caseBits is the bit that makes a letter lower case, in every byte.
const caseBits = 0x20 * lowBits

// nameWords gives a name's first and last eight bytes.
func nameWords(name []byte) (first, last uint64) {
	if n := len(name); n >= 8 {
		return binary.LittleEndian.Uint64(name), binary.LittleEndian.Uint64(name[n-8:])
	}
	for i := len(name) - 1; i >= 0; i-- {
		first = first<<8 | uint64(name[i])
	}
	return first, first
}

// Name is the usual spelling of the field's name ("Content-Length", "ETag"), empty for FieldOther.
func (id FieldID) Name() string { return fieldNames[id] }

// LowerName is the field's name in lower case, empty for FieldOther. The bytes are shared: they are not the caller's to change.
func (id FieldID) LowerName() []byte { return lowerNames[id] }

// lowerNames is each name in lower case.
var lowerNames = func() (t [NumFieldIDs][]byte) {
	for id, name := range fieldNames {
		t[id] = bytes.ToLower([]byte(name))
	}
	return t
}()

// FieldByName is the id of a name in any case, or FieldOther.
func FieldByName(name []byte) FieldID {
	first, last := nameWords(name)
	id := fieldTable[nameHash(first, last)]
	if known := &knownNames[id&63]; known.size == len(name) && known.is(first, last) && known.isMiddle(name) {
		return id
	}
	return FieldOther
}

// fieldSet is a set of field ids.
type fieldSet uint64

func (s fieldSet) has(id FieldID) bool { return s>>(id&63)&1 != 0 }

const (
	// hopByHop are the fields that are about one connection (RFC 9110 section 7.6.1, and RFC 7540 section 3.2.1 for
	// HTTP2-Settings). Proxy-Authenticate and Proxy-Authorization are not among them: a reverse proxy does not take part in
	// that dialogue, so they pass, as with nginx.
	hopByHop = fieldSet(1<<FieldConnection | 1<<FieldKeepAlive | 1<<FieldProxyConnection | 1<<FieldTE | 1<<FieldTrailer |
		1<<FieldTransferEncoding | 1<<FieldUpgrade | 1<<FieldHTTP2Settings)

	// intendedForAll are the fields that Connection cannot take away: they frame, route or describe the message itself.
	intendedForAll = fieldSet(1<<FieldHost | 1<<FieldContentLength | 1<<FieldContentType | 1<<FieldContentEncoding |
		1<<FieldContentRange | 1<<FieldAuthorization | 1<<FieldCacheControl | 1<<FieldCookie | 1<<FieldSetCookie |
		1<<FieldDate | 1<<FieldLocation)

	// requestSingles are the fields of a request of which only one may be: two could be read differently by two parsers. If-Match and If-None-Match are
	// lists, which RFC 9110 lets be split over several fields; nginx refuses that, and nobody does it.
	requestSingles = fieldSet(1<<FieldHost | 1<<FieldContentLength | 1<<FieldTransferEncoding | 1<<FieldAuthorization |
		1<<FieldContentRange | 1<<FieldExpect | 1<<FieldIfModifiedSince | 1<<FieldIfUnmodifiedSince | 1<<FieldIfRange | 1<<FieldIfMatch | 1<<FieldIfNoneMatch)

	// responseSingles are the fields of a response of which only one may be.
	responseSingles = fieldSet(1<<FieldContentLength | 1<<FieldTransferEncoding)
)

// HopByHop says that the field is about one connection and is never forwarded, whatever Connection says.
func (id FieldID) HopByHop() bool { return hopByHop.has(id) }
