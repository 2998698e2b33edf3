// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package main

import (
	"fmt"
	"io"
	"net"
	"strconv"

	"weir/conf"
	"weir/internal/limitconn"
)

// runCheck answers -t and -T: it reads the configuration, and does nothing else to the system. Faults and warnings go to stderr; for -T
// all of stdout is TOML.
func runCheck(c command, stdout, stderr io.Writer) int {
	src, err := c.source()
	if err != nil {
		writeFaults(stderr, err)
		return 1
	}
	cfg, warnings, err := conf.Load(src)
	if !c.quiet {
		for _, w := range warnings {
			fmt.Fprintf(stderr, "%s (warning)\n", w)
		}
	}
	if err != nil {
		writeFaults(stderr, err)
		return 1
	}
	if c.action == actionPrint {
		fmt.Fprintf(stdout, "# %s: OK\n", src.Name)
		writeCapacities(stdout, "# ", cfg)
		fmt.Fprintf(stdout, "\n%s", cfg.TOML())
		return 0
	}
	if !c.quiet {
		fmt.Fprintf(stdout, "weir: %s: OK\n", src.Name)
		writeCapacities(stdout, "", cfg)
	}
	return 0
}

// writeCapacities writes how many addresses each limit zone can count at once, the connections of each in one worker. What a key
// has in a further worker takes room too: docs/limits.md.
func writeCapacities(w io.Writer, begin string, cfg *conf.Config) {
	for i := range cfg.HTTP.LimitConnZones {
		z := &cfg.HTTP.LimitConnZones[i]
		fmt.Fprintf(w, "%szone %q: %s holds %s IPv4 or %s IPv6 keys\n", begin, z.Name, z.Size,
			withCommas(limitconn.Capacity(int64(z.Size), net.IPv4len)), withCommas(limitconn.Capacity(int64(z.Size), net.IPv6len)))
	}
}

// withCommas is a number that is not negative, as in 1,234,567.
func withCommas(n int) string {
	digits := strconv.Itoa(n)
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}
