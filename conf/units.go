// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// unit is a suffix of a number and what it stands for.
type unit struct {
	suffix string
	value  int64
}

// The units of times, as in nginx: a text names each at most once, from the largest to the smallest.
func timeUnits() []unit {
	const day = 24 * time.Hour
	return []unit{
		{"y", int64(365 * day)}, {"M", int64(30 * day)}, {"w", int64(7 * day)}, {"d", int64(day)},
		{"h", int64(time.Hour)}, {"m", int64(time.Minute)}, {"s", int64(time.Second)}, {"ms", int64(time.Millisecond)},
	}
}

func sizeUnits() []unit {
	return []unit{{"g", 1 << 30}, {"m", 1 << 20}, {"k", 1 << 10}}
}

var errTooLarge = errors.New("too large")

// ParseTime parses a time as nginx writes them: "1m30s", "1h 30m", "500ms", "60" (seconds).
func ParseTime(text string) (time.Duration, error) {
	bad := fmt.Errorf("must be a time such as \"30s\", \"500ms\" or \"1m30s\", not %s", quote(text))
	units := timeUnits()
	var sum int64
	for rest := text; rest != "" || text == ""; {
		number, suffix, left := cutNumber(rest)
		if number == "" {
			return 0, bad
		}
		i := 0
		for i < len(units) && units[i].suffix != suffix {
			i++
		}
		value := int64(time.Second)
		switch {
		case i < len(units):
			value = units[i].value
			units = units[i+1:]
		case suffix == "" && left == "":
			units = nil
		default:
			return 0, bad
		}
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil || n > (math.MaxInt64-sum)/value {
			return 0, errTooLarge
		}
		sum += n * value
		rest = strings.TrimPrefix(left, " ")
	}
	return time.Duration(sum), nil
}

// cutNumber splits digits and the letters behind them from the rest.
func cutNumber(s string) (number, suffix, rest string) {
	i := 0
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	j := i
	for j < len(s) && (s[j] >= 'a' && s[j] <= 'z' || s[j] >= 'A' && s[j] <= 'Z') {
		j++
	}
	return s[:i], s[i:j], s[j:]
}

// ParseSize parses a size as nginx writes them: "16k", "10m", "1g", "512".
func ParseSize(text string) (int64, error) {
	number, suffix, rest := cutNumber(text)
	value := int64(1)
	known := suffix == ""
	for _, u := range sizeUnits() {
		if strings.EqualFold(suffix, u.suffix) {
			value, known = u.value, true
		}
	}
	if number == "" || rest != "" || !known {
		return 0, fmt.Errorf("must be a size such as \"16k\", \"10m\" or 512, not %s", quote(text))
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n > math.MaxInt64/value {
		return 0, errTooLarge
	}
	return n * value, nil
}

// formatTime is a time with the largest unit that divides it.
func formatTime(d time.Duration) string {
	for _, u := range timeUnits()[3:] {
		if d != 0 && int64(d)%u.value == 0 {
			return strconv.FormatInt(int64(d)/u.value, 10) + u.suffix
		}
	}
	return "0s"
}

// String is the size as written, with the largest unit that divides it.
func (s Size) String() string {
	for _, u := range sizeUnits() {
		if s != 0 && int64(s)%u.value == 0 {
			return strconv.FormatInt(int64(s)/u.value, 10) + u.suffix
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// quote is a text as a TOML basic string.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
