// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package static

const (
	daySeconds = 24 * 60 * 60
	monthNames = "JanFebMarAprMayJunJulAugSepOctNovDec"
	dayNames   = "ThuFriSatSunMonTueWed" // 1 January 1970 was a Thursday
)

// AppendDate appends a time as HTTP has it: "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 section 5.6.7).
func AppendDate(dst []byte, unix int64) []byte {
	days := unix / daySeconds
	sec := unix % daySeconds
	if sec < 0 {
		days, sec = days-1, sec+daySeconds
	}
	year, month, day := civil(days)
	weekday := int((days%7 + 7) % 7)
	dst = append(dst, dayNames[3*weekday:3*weekday+3]...)
	dst = append(dst, ',', ' ')
	dst = appendTwo(dst, day)
	dst = append(dst, ' ')
	dst = append(dst, monthNames[3*month-3:3*month]...)
	dst = append(dst, ' ')
	dst = appendTwo(appendTwo(dst, year/100%100), year%100)
	dst = append(dst, ' ')
	dst = appendTwo(dst, int(sec/3600))
	dst = append(dst, ':')
	dst = appendTwo(dst, int(sec/60%60))
	dst = append(dst, ':')
	dst = appendTwo(dst, int(sec%60))
	return append(dst, " GMT"...)
}

func appendTwo(dst []byte, n int) []byte { return append(dst, byte('0'+n/10), byte('0'+n%10)) }

// civil is the date of a day, counted from 1 January 1970. It counts years from 1 March, so that the day of a leap year is the last.
func civil(days int64) (year, month, day int) {
	const eraDays = 146097 // of 400 years
	z := days + 719468     // from 1 March of the year 0
	era := z / eraDays
	if z < 0 {
		era = (z - eraDays + 1) / eraDays
	}
	ofEra := z - era*eraDays
	ofEraYear := (ofEra - ofEra/1460 + ofEra/36524 - ofEra/146096) / 365
	ofYear := ofEra - (365*ofEraYear + ofEraYear/4 - ofEraYear/100)
	m := (5*ofYear + 2) / 153
	day = int(ofYear - (153*m+2)/5 + 1)
	month = int(m + 3)
	year = int(ofEraYear + era*400)
	if month > 12 {
		month -= 12
		year++
	}
	return year, month, day
}

// daysOf is the inverse of civil.
func daysOf(year, month, day int) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	return int64(year)*365 + int64(year/4-year/100+year/400) + int64((153*(month-3)+2)/5+day-1) - 719468
}

// ParseDate reads a date of HTTP in any of its three forms, and as nginx does without a look at the name of the day or what comes behind the
// time. False: it is none.
func ParseDate(b []byte) (unix int64, ok bool) {
	i := 0
	for i < len(b) && b[i] != ',' && b[i] != ' ' {
		i++
	}
	asctime := i < len(b) && b[i] == ' '
	for i < len(b) && (b[i] == ',' || b[i] == ' ') {
		i++
	}
	p := dateParser{rest: b[i:]}
	switch {
	case asctime: // Sun Nov  6 08:49:37 1994
		p.month()
		p.sep(' ')
		if len(p.rest) > 0 && p.rest[0] == ' ' {
			p.rest = p.rest[1:]
			p.day = p.number(1)
		} else {
			p.day = p.number(2)
		}
		p.sep(' ')
		p.time()
		p.sep(' ')
		p.year = p.number(4)
	default:
		p.day = p.number(2)
		if len(p.rest) > 0 && p.rest[0] == '-' { // Sunday, 06-Nov-94 08:49:37 GMT
			p.sep('-')
			p.month()
			p.sep('-')
			if p.year = p.number(2); p.year < 70 {
				p.year += 100
			}
			p.year += 1900
		} else { // Sun, 06 Nov 1994 08:49:37 GMT
			p.sep(' ')
			p.month()
			p.sep(' ')
			p.year = p.number(4)
		}
		p.sep(' ')
		p.time()
	}
	return p.unix()
}

// dateParser takes a date apart; bad sticks.
type dateParser struct {
	rest           []byte
	bad            bool
	year, mon, day int
	sec            int
}

func (p *dateParser) number(digits int) (n int) {
	if len(p.rest) < digits {
		p.bad = true
		return 0
	}
	for _, c := range p.rest[:digits] {
		if c < '0' || c > '9' {
			p.bad = true
			return 0
		}
		n = n*10 + int(c-'0')
	}
	p.rest = p.rest[digits:]
	return n
}

func (p *dateParser) sep(c byte) {
	if len(p.rest) == 0 || p.rest[0] != c {
		p.bad = true
		return
	}
	p.rest = p.rest[1:]
}

func (p *dateParser) month() {
	if len(p.rest) >= 3 {
		for m := 0; m < 12; m++ {
			if string(p.rest[:3]) == monthNames[3*m:3*m+3] {
				p.mon = m + 1
				p.rest = p.rest[3:]
				return
			}
		}
	}
	p.bad = true
}

func (p *dateParser) time() {
	h := p.number(2)
	p.sep(':')
	m := p.number(2)
	p.sep(':')
	s := p.number(2)
	p.bad = p.bad || h > 23 || m > 59 || s > 59
	p.sec = h*3600 + m*60 + s
}

func (p *dateParser) unix() (int64, bool) {
	if p.bad || p.day < 1 || p.day > monthDays(p.year, p.mon) {
		return 0, false
	}
	return daysOf(p.year, p.mon, p.day)*daySeconds + int64(p.sec), true
}

func monthDays(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}
