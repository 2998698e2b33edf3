// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"slices"
	"strconv"

	"weir/conf"
	"weir/internal/limitconn"
	"weir/internal/limitreq"
	"weir/internal/master"
	"weir/internal/sys"
)

// runCheck answers -t and -T: it reads the configuration, and does nothing else to the system. Faults and warnings go to stderr; for -T
// all of stdout is TOML, and an nginx.conf's files go to stderr as nginx -T prints them.
func runCheck(c command, stdout, stderr io.Writer) int {
	if c.action == actionPrint && c.converts() {
		c.sources = &sources{}
	}
	code := c.checkConfig(stdout, stderr)
	if c.converts() && (code != 0 || !c.quiet) { // what follows nginx -t looks for
		if code == 0 {
			fmt.Fprintf(stderr, "weir: the configuration file %[1]s syntax is ok\nweir: configuration file %[1]s test is successful\n", c.file())
		} else {
			fmt.Fprintf(stderr, "weir: configuration file %s test failed\n", c.file())
		}
	}
	if code == 0 && c.sources != nil {
		c.sources.write(stderr)
	}
	return code
}

// checkConfig is runCheck, but for what nginx says in the end.
func (c command) checkConfig(stdout, stderr io.Writer) int {
	defer debug.SetGCPercent(debug.SetGCPercent(readGCPercent))
	src, err := c.source()
	if err != nil {
		writeFaults(stderr, err)
		return 1
	}
	cfg, warnings, err := conf.Load(src)
	if !c.quiet {
		for _, w := range warnings {
			if w.Level == 0 {
				w.Text += " (warning)"
			}
			writeFault(stderr, w)
		}
	}
	if err == nil && c.converts() {
		err = checkAccount(src, cfg.User)
	}
	if err != nil {
		writeFaults(stderr, err)
		return 1
	}
	if c.action == actionPrint {
		fmt.Fprintf(stdout, "# %s: OK\n", src.Name)
		writeCapacities(stdout, "# ", cfg)
		writeMemory(stdout, "# ", cfg, master.Workers(cfg))
		fmt.Fprintf(stdout, "\n%s", cfg.TOML())
		return 0
	}
	if !c.quiet {
		fmt.Fprintf(stdout, "weir: %s: OK\n", src.Name)
		writeCapacities(stdout, "", cfg)
		writeMemory(stdout, "", cfg, master.Workers(cfg))
	}
	return 0
}

// checkAccount looks up the user and the group that an nginx.conf names, as nginx -t does where it runs as root.
func checkAccount(src conf.Source, account conf.User) error {
	at := slices.IndexFunc(src.Lines, func(p conf.Place) bool { return p.Directive == "user" })
	if at < 0 || os.Geteuid() != 0 {
		return nil
	}
	text := fmt.Sprintf("getpwnam(%q) failed", account.Name)
	_, _, err := sys.LookUpAccount(account.Name, "")
	if err == nil && account.Group != "" {
		text = fmt.Sprintf("getgrnam(%q) failed", account.Group)
		_, _, err = sys.LookUpAccount(account.Name, account.Group)
	}
	if err == nil {
		return nil
	}
	return conf.Faults{src.Lines[at].Fault(conf.LevelEmerg, text)}
}

// writeCapacities writes how many addresses each limit zone can count at once, the connections of each in one worker. What a key
// has in a further worker takes room too: docs/limits.md.
func writeCapacities(w io.Writer, begin string, cfg *conf.Config) {
	line := func(name string, size conf.Size, capacity func(zoneBytes int64, keyBytes int) int) {
		fmt.Fprintf(w, "%szone %q: %s holds %s IPv4 or %s IPv6 keys\n", begin, name, size,
			withCommas(capacity(int64(size), net.IPv4len)), withCommas(capacity(int64(size), net.IPv6len)))
	}
	for _, z := range cfg.HTTP.LimitConnZones {
		line(z.Name, z.Size, limitconn.Capacity)
	}
	for _, z := range cfg.HTTP.LimitReqZones {
		line(z.Name, z.Size, limitreq.Capacity)
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
