// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package convert

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir/conf"
	"weir/internal/convert/wire"
)

// Numbers, sizes and times: what nginx takes for one, and what it says of what it does not.

// offsets are the directives whose size may have the unit g, which nginx takes for offsets in files only.
var offsets = []string{"client_max_body_size", "worker_rlimit_core", "proxy_cache_max_range_offset"} // read-only

// rates are the texts of the schema that are a size when there is no variable in them.
var rates = []string{"limit_rate", "limit_rate_after", "proxy_limit_rate"} // read-only

// inWholeSeconds are the parameters and directives whose times nginx counts in seconds: with years and months, without milliseconds.
var inWholeSeconds = []string{"fail_timeout", "keepalive_header_timeout", "valid", "inactive"} // read-only

// strict are the directives whose bounds are nginx's own: elsewhere weir takes what is nearest.
var strict = []string{"limit_conn_status", "limit_req_status", "gzip_comp_level", "worker_processes"} // read-only

// Why nginx does not take a value.
const (
	badNumber = "invalid number"
	badValue  = "invalid value"
)

// value is an argument as the value of a key; or why nginx does not take it.
func (c *converter) value(d *directive, k conf.Key, arg string) (value any, why string) {
	switch {
	case k.Form == conf.FormFlag:
		on := strings.EqualFold(arg, "on")
		if !on && !strings.EqualFold(arg, "off") {
			return nil, badValue
		}
		return on, ""
	case k.Form == conf.FormNumber && k.Auto && arg == "auto":
		return arg, ""
	case k.Form == conf.FormNumber:
		n, err := strconv.ParseInt(arg, 10, 64)
		if err != nil || !isDigits(arg) {
			return nil, notNumber(k, arg)
		}
		return c.within(d, k, n, arg, func(n int64) any { return n })
	case k.Form == conf.FormSize, slices.Contains(rates, k.Name) && !strings.Contains(arg, "$"):
		n, ok := parseSize(arg, slices.Contains(offsets, k.Name))
		if !ok {
			return nil, badValue
		}
		c.needBlock(d, n)
		return c.within(d, k, n, arg, func(n int64) any { return conf.Size(n).String() })
	case k.Form == conf.FormTime:
		t, ok := parseTime(arg, slices.Contains(inWholeSeconds, k.Name))
		if !ok {
			return nil, badValue
		}
		return c.within(d, k, int64(t), arg, func(n int64) any { return time.Duration(n).String() })
	}
	for _, name := range k.Names {
		if strings.EqualFold(arg, name) {
			return name, ""
		}
	}
	if k.Names != nil {
		return nil, fmt.Sprintf("%s %q in %q directive, it must be %s", badValue, arg, d.name, alternatives(k.Names))
	}
	return arg, ""
}

// formsOfInert are what the directives without effect take, by the end of their names: nginx checks that, whether or not it is used.
var formsOfInert = []struct {
	form conf.Form
	ends []string
}{
	{conf.FormNumber, []string{
		"_hash_max_size", "_hash_bucket_size", "_min_uses", "_tries", "_concurrent_pushes", "_concurrent_streams", "_verify_depth",
		"memcached_gzip_flag", "worker_aio_requests", "worker_rlimit_nofile",
	}},
	{conf.FormSize, []string{
		"_buffer_size", "_buffers_size", "_file_write_size", "_temp_file_size", "_limit_rate", "_lowat", "sendfile_max_chunk", "directio_alignment", "postpone_output",
		"read_ahead", "_chunk_size", "_preread_size", "_range_offset", "_file_chunk", "_value_length", "worker_rlimit_core",
	}},
	{conf.FormTime, []string{"_connect_timeout", "_read_timeout", "_send_timeout", "_upstream_timeout", "_lock_timeout", "_lock_age", "timer_resolution"}},
}

// inertValue says what is wrong with the value of a directive without effect; "" when nothing is.
func (c *converter) inertValue(d *directive) string {
	if strings.HasSuffix(d.name, "_buffers") && len(d.args) == 2 && !isBuffers(d.args) {
		return badValue
	}
	if len(d.args) != 1 || strings.Contains(d.args[0], "$") {
		return ""
	}
	if d.name == "use" && !slices.Contains([]string{"epoll", "poll", "select", "kqueue", "eventport", "/dev/poll"}, d.args[0]) {
		return fmt.Sprintf("invalid event type %q", d.args[0])
	}
	for _, f := range formsOfInert {
		for _, end := range f.ends {
			if strings.HasSuffix(d.name, end) {
				_, why := c.value(d, conf.Key{Name: d.name, Form: f.form, Max: math.MaxInt64}, d.args[0])
				return why
			}
		}
	}
	return ""
}

// isBuffers says whether arguments are a number of buffers and the size of each.
func isBuffers(args []string) bool {
	n, err := strconv.ParseInt(args[0], 10, 32)
	size, ok := parseSize(args[1], false)
	return ok && err == nil && size > 0 && n > 0 && isDigits(args[0])
}

// notNumber is what nginx says of something else.
func notNumber(k conf.Key, arg string) string {
	switch {
	case k.Auto:
		return badValue
	case k.Name == "worker_connections":
		return fmt.Sprintf("%s %q", badNumber, arg)
	}
	return badNumber
}

// within is a number as it is written, or the nearest that weir takes, and that is noted.
func (c *converter) within(d *directive, k conf.Key, n int64, arg string, form func(int64) any) (value any, why string) {
	near := min(max(n, k.Min), k.Max)
	switch {
	case near == n && k.Form == conf.FormTime:
		return seconds(arg), ""
	case near == n:
		return number(arg), ""
	case n == 0 && k.Name == "client_body_buffer_size":
		return nil, "client body buffer size cannot be zero"
	case n < k.Min && k.Name != d.name: // a parameter
		return nil, badValue
	case slices.Contains(strict, k.Name):
		return nil, fmt.Sprintf("value must be between %d and %d", k.Min, k.Max)
	}
	value = form(near)
	c.note(wire.Different, d, "%s is out of weir's bounds: %v is used", arg, value)
	return value, ""
}

// refuseValue refuses a directive for what value says.
func (c *converter) refuseValue(l *level, d *directive, why string) {
	if why == badNumber || why == badValue {
		why = fmt.Sprintf("%q directive %s", d.name, why)
	}
	c.refuse(l, d, "%s", why)
}

// parseSize is a size in bytes.
func parseSize(s string, offset bool) (bytes int64, ok bool) {
	if !offset && strings.HasSuffix(strings.ToLower(s), "g") {
		return 0, false
	}
	n, err := conf.ParseSize(s)
	return n, err == nil
}

// parseTime is a time: without a unit, in seconds.
func parseTime(s string, whole bool) (time.Duration, bool) {
	if whole && strings.Contains(s, "ms") || !whole && strings.ContainsAny(s, "yM") {
		return 0, false
	}
	t, err := conf.ParseTime(s)
	return t, err == nil
}

// with is the table with one field more, which takes the place of one of the same name: of a parameter that is there twice, nginx takes the later.
func (t table) with(f field) table {
	for i := range t {
		if t[i].key == f.key {
			t[i].value = f.value
			return t
		}
	}
	return append(t, f)
}

// alternatives are names as in `"a", "b" or "c"`.
func alternatives(names []string) string {
	var b strings.Builder
	for i, name := range names {
		switch {
		case i > 0 && i == len(names)-1:
			b.WriteString(" or ")
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString(strconv.Quote(name))
	}
	return b.String()
}
