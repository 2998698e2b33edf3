// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package static

import (
	"errors"
	"math"
	"strconv"
	"time"
)

// ExpiresKind is a form of expires.
type ExpiresKind uint8

// The forms.
const (
	ExpiresOff      ExpiresKind = iota
	ExpiresAccess               // so long after the request
	ExpiresModified             // so long after the file's last change
	ExpiresDaily                // at a time of day
	ExpiresEpoch                // never kept
	ExpiresMax                  // kept for ever
)

// Expires says how long an answer may be kept.
type Expires struct {
	Kind    ExpiresKind
	Seconds int64
}

// errExpires is what is wrong with a text for expires.
var errExpires = errors.New(`must be "off", "epoch", "max", a time such as "24h", "-1" or "modified 1w", or a time of day such as "@15h30m"`)

// ParseExpires reads what a config or a variable has: "30d", "-1", "modified 1w", "@15h30m", "epoch", "max", "off". ngx_http_headers_module.
func ParseExpires(text string) (Expires, error) {
	switch text {
	case "off":
		return Expires{}, nil
	case "epoch":
		return Expires{Kind: ExpiresEpoch}, nil
	case "max":
		return Expires{Kind: ExpiresMax}, nil
	}
	e := Expires{Kind: ExpiresAccess}
	const modified = "modified "
	switch {
	case len(text) > len(modified) && text[:len(modified)] == modified:
		e.Kind, text = ExpiresModified, text[len(modified):]
		for len(text) > 0 && text[0] == ' ' {
			text = text[1:]
		}
	case len(text) > 0 && text[0] == '@':
		e.Kind, text = ExpiresDaily, text[1:]
	}
	minus := false
	if len(text) > 0 && e.Kind != ExpiresDaily && (text[0] == '+' || text[0] == '-') {
		minus, text = text[0] == '-', text[1:]
	}
	n, ok := parseSeconds(text)
	if !ok || e.Kind == ExpiresDaily && n > daySeconds {
		return Expires{}, errExpires
	}
	if e.Seconds = n; minus {
		e.Seconds = -n
	}
	return e, nil
}

// units of a time, the largest first: each may stand once, in this order.
var units = [...]struct {
	letter  byte
	seconds int64
}{{'y', 365 * daySeconds}, {'M', 30 * daySeconds}, {'w', 7 * daySeconds}, {'d', daySeconds}, {'h', 3600}, {'m', 60}, {'s', 1}} // read-only

// parseSeconds reads a time as nginx does: "1d 12h", "90", "1h30m".
func parseSeconds(text string) (total int64, ok bool) {
	at := 0 // the largest unit that may follow
	for i := 0; i < len(text); {
		n, from := int64(0), i
		for ; i < len(text) && '0' <= text[i] && text[i] <= '9'; i++ {
			if n = n*10 + int64(text[i]-'0'); n > math.MaxInt32 {
				return 0, false
			}
		}
		if i == from {
			return 0, false
		}
		unit := int64(1)
		if i == len(text) || text[i] == ' ' {
			if at = len(units); i < len(text) {
				return 0, false
			}
		} else {
			for at < len(units) && units[at].letter != text[i] {
				at++
			}
			if at == len(units) {
				return 0, false
			}
			unit = units[at].seconds
			at++
			i++
		}
		if total += n * unit; total > math.MaxInt32 {
			return 0, false
		}
		for i < len(text) && text[i] == ' ' {
			i++
		}
		ok = true
	}
	return total, ok
}

// Append appends the lines Expires and Cache-Control of a response made now, a time in the place loc; mtimeSec is the time of the last
// change of what is sent, negative where it has none.
func (e Expires) Append(dst []byte, nowSec, mtimeSec int64, loc *time.Location) []byte {
	var at, age int64
	switch e.Kind {
	case ExpiresOff:
		return dst
	case ExpiresEpoch:
		return append(dst, "Expires: Thu, 01 Jan 1970 00:00:01 GMT\r\nCache-Control: no-cache\r\n"...)
	case ExpiresMax:
		return append(dst, "Expires: Thu, 31 Dec 2037 23:55:55 GMT\r\nCache-Control: max-age=315360000\r\n"...)
	case ExpiresDaily:
		at = nextTime(nowSec, e.Seconds, loc)
		age = at - nowSec
	case ExpiresModified:
		if e.Seconds != 0 && mtimeSec >= 0 {
			at = mtimeSec + e.Seconds
			age = at - nowSec
			break
		}
		fallthrough
	default:
		at, age = nowSec+e.Seconds, e.Seconds
	}
	dst = AppendDate(append(dst, "Expires: "...), at)
	if e.Seconds < 0 || age < 0 {
		return append(dst, "\r\nCache-Control: no-cache\r\n"...)
	}
	dst = strconv.AppendInt(append(dst, "\r\nCache-Control: max-age="...), age, 10)
	return append(dst, '\r', '\n')
}

// nextTime is the next moment with a time of day, in seconds since midnight.
func nextTime(nowSec, ofDay int64, loc *time.Location) int64 {
	now := time.Unix(nowSec, 0).In(loc)
	y, m, d := now.Date()
	at := time.Date(y, m, d, 0, 0, int(ofDay), 0, loc)
	if !at.After(now) {
		at = time.Date(y, m, d+1, 0, 0, int(ofDay), 0, loc)
	}
	return at.Unix()
}
