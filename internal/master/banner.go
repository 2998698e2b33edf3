// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"weir/conf"
)

// banner prints what a person who has just started weir wants to know.
func (m *master) banner(took time.Duration) {
	config := m.current.config
	var b strings.Builder
	line := func(label, format string, args ...any) {
		fmt.Fprintf(&b, "  %-10s %s\n", label, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(&b, "weir %s is serving: process %d, workers ready: %d, after %s\n",
		m.opts.Build, os.Getpid(), m.current.ready(), took.Round(time.Millisecond))
	line("config", "%s", m.current.source.Name)
	for i := range config.Listeners {
		if config.Listeners[i].Via == i {
			line("listens on", "%s", listenText(&config.Listeners[i]))
		}
	}
	if try := tryCommand(config); try != "" {
		line("try", "%s", try)
	}
	line("logs", "%s", logText(config))
	if config.Pid != "" {
		line("pid file", "%s", config.Pid)
	}
	if config.Control != "" {
		line("control", "weir status, weir -s reload, weir -s quit (with the same -c, -p and -g)")
	}
	line("signals", "kill -HUP %[1]d reloads, kill -QUIT %[1]d stops gracefully, Ctrl-C stops", os.Getpid())
	fmt.Fprint(m.opts.Out, b.String())
}

func listenText(l *conf.Listener) string {
	if l.Address.Path != "" {
		return "unix:" + l.Address.Path
	}
	return "http://" + reachable(l.Address.IP) + "/"
}

// tryCommand is a command that shows an answer of the first listener.
func tryCommand(config *conf.Config) string {
	if len(config.Listeners) == 0 {
		return ""
	}
	l := &config.Listeners[0]
	if l.Address.Path != "" {
		return fmt.Sprintf("curl -i --unix-socket %s http://localhost/", l.Address.Path)
	}
	return fmt.Sprintf("curl -i http://%s/", reachable(l.Address.IP))
}

// reachable is an address to connect to: for a wildcard, the loopback address.
func reachable(ap netip.AddrPort) string {
	switch {
	case !ap.Addr().IsUnspecified():
		return ap.String()
	case ap.Addr().Is4():
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), ap.Port()).String()
	}
	return netip.AddrPortFrom(netip.IPv6Loopback(), ap.Port()).String()
}

func logText(config *conf.Config) string {
	text := fmt.Sprintf("errors (%s and above) to %s", config.ErrorLog.Level, config.ErrorLog.Path)
	if rest := logPathsOf(config)[len(errorLogPaths(config)):]; len(rest) > 0 {
		text += ", requests to " + strings.Join(rest, ", ")
	}
	return text
}
