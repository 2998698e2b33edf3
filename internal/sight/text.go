// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package sight

import (
	"math"
	"strconv"
)

// ContentType is that of the text format.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// text writes the Prometheus text format, version 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats/
type text struct {
	dst  []byte
	name string // of the present metric
}

// metric begins a metric. Samples of it follow, and of no other.
func (t *text) metric(name, kind, help string) {
	t.name = name
	t.dst = append(t.dst, "# HELP "...)
	t.dst = append(append(t.dst, name...), ' ')
	t.dst = append(append(t.dst, help...), "\n# TYPE "...)
	t.dst = append(append(t.dst, name...), ' ')
	t.dst = append(append(t.dst, kind...), '\n')
}

// sample adds a sample of the present metric. labels are names and values by turns.
func (t *text) sample(value float64, labels ...string) { t.line("", value, labels) }

func (t *text) count(value uint64, labels ...string) { t.line("", float64(value), labels) }

// only is a metric with one sample.
func (t *text) only(name, kind, help string, value float64) {
	t.metric(name, kind, help)
	t.sample(value)
}

func (t *text) line(suffix string, value float64, labels []string) {
	t.dst = append(append(t.dst, t.name...), suffix...)
	for i := 0; i+1 < len(labels); i += 2 {
		if i == 0 {
			t.dst = append(t.dst, '{')
		} else {
			t.dst = append(t.dst, ',')
		}
		t.dst = append(append(t.dst, labels[i]...), '=', '"')
		t.dst = append(appendEscaped(t.dst, labels[i+1]), '"')
	}
	if len(labels) > 0 {
		t.dst = append(t.dst, '}')
	}
	t.dst = append(appendValue(append(t.dst, ' '), value), '\n')
}

// histogram adds the samples of a histogram with cumulative buckets.
func (t *text) histogram(l *Latency, boundsSec []float64, labels ...string) {
	sum := uint64(0)
	with := append(append([]string{}, labels...), "le", "")
	for i, n := range l.Buckets {
		sum += n
		bound := "+Inf"
		if i < len(boundsSec) {
			bound = string(appendValue(nil, boundsSec[i]))
		}
		with[len(with)-1] = bound
		t.line("_bucket", float64(sum), with)
	}
	t.line("_sum", l.SumSec, labels)
	t.line("_count", float64(sum), labels)
}

// appendValue appends a number; whole ones without an exponent.
func appendValue(dst []byte, v float64) []byte {
	if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
		return strconv.AppendInt(dst, int64(v), 10)
	}
	return strconv.AppendFloat(dst, v, 'g', -1, 64)
}

// appendEscaped appends a label's value. What is not UTF-8 is replaced.
func appendEscaped(dst []byte, s string) []byte {
	for _, c := range s {
		switch c {
		case '\\':
			dst = append(dst, `\\`...)
		case '"':
			dst = append(dst, `\"`...)
		case '\n':
			dst = append(dst, `\n`...)
		default:
			dst = append(dst, string(c)...)
		}
	}
	return dst
}
