// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package static

// AcceptsGzip says whether a field Accept-Encoding has "gzip" with a weight above 0, read as nginx does: the name counts where it begins the
// field or stands behind a comma or a blank.
func AcceptsGzip(field []byte) bool {
	const name = "gzip"
	for i := 0; i+len(name) <= len(field); i++ {
		if !equalFold(field[i:i+len(name)], name) || i > 0 && field[i-1] != ',' && field[i-1] != ' ' {
			continue
		}
		return weighs(field[i+len(name):])
	}
	return false
}

// weighs reads what follows a coding: nothing, or a weight that is not 0.
func weighs(b []byte) bool {
	for len(b) > 0 {
		c := b[0]
		b = b[1:]
		switch c {
		case ',':
			return true
		case ' ':
			continue
		case ';':
			for len(b) > 0 && b[0] == ' ' {
				b = b[1:]
			}
			if len(b) == 0 {
				return true
			}
			return len(b) > 2 && (b[0] == 'q' || b[0] == 'Q') && b[1] == '=' && weight(b[2:]) > 0
		}
		return false
	}
	return true
}

// weight is a weight in thousandths; 0 for what is none (RFC 9110 section 12.4.2).
func weight(b []byte) int {
	if b[0] != '0' && b[0] != '1' {
		return 0
	}
	q := int(b[0]-'0') * 1000
	if len(b) == 1 || b[1] == ',' || b[1] == ' ' {
		return q
	}
	if b[1] != '.' {
		return 0
	}
	digits, place := 0, 100
	for _, c := range b[2:] {
		if c == ',' || c == ' ' {
			break
		}
		if c < '0' || c > '9' {
			return 0
		}
		if digits++; digits > 3 {
			return 0
		}
		q += int(c-'0') * place
		place /= 10
	}
	if q > 1000 {
		return 0
	}
	return q
}
