// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package syslog

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Scheme is what the text of a Target begins with; a log whose path begins otherwise is a file.
const Scheme = "syslog:"

// Is says whether a log's path is the text of a Target.
func Is(path string) bool { return strings.HasPrefix(path, Scheme) }

// Target is where messages go, and what their headers say.
type Target struct {
	Addr       netip.AddrPort // of the server's UDP socket
	Path       string         // of the server's unix socket; then Addr is not valid
	Facility   int            // 0 to 23
	Severity   int            // of lines that have none of their own: 0 (emerg) to 7 (debug)
	Tag        string
	NoHostname bool
}

const (
	defaultPort     = 514
	defaultFacility = 23 // local7
	defaultSeverity = 6  // info
	defaultTag      = "nginx"
	tagMax          = 32
)

// Names of facilities and severities by their numbers: RFC 3164, section 4.1.1, as nginx spells them.
var (
	facilities = []string{"kern", "user", "mail", "daemon", "auth", "intern", "lpr", "news", "uucp", "clock", "authpriv", "ftp",
		"ntp", "audit", "alert", "cron", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"}
	severities = []string{"emerg", "alert", "crit", "error", "warn", "notice", "info", "debug"}
)

// Parse reads "syslog:server=ADDRESS[,facility=F][,severity=S][,tag=T][,nohostname]".
func Parse(text string) (Target, error) {
	t := Target{Facility: defaultFacility, Severity: defaultSeverity, Tag: defaultTag}
	seen := map[string]bool{}
	for _, parameter := range strings.Split(strings.TrimPrefix(text, Scheme), ",") {
		name, value, valued := strings.Cut(parameter, "=")
		if valued && seen[name] {
			return t, fmt.Errorf("duplicate syslog %q", name)
		}
		seen[name] = true
		var err error
		switch {
		case parameter == "nohostname":
			t.NoHostname = true
		case valued && name == "server":
			err = t.setServer(value)
		case valued && name == "facility":
			if t.Facility = slices.Index(facilities, value); t.Facility < 0 {
				err = fmt.Errorf("unknown syslog facility %q", value)
			}
		case valued && name == "severity":
			if t.Severity = slices.Index(severities, value); t.Severity < 0 {
				err = fmt.Errorf("unknown syslog severity %q", value)
			}
		case valued && name == "tag":
			err = t.setTag(value)
		default:
			err = fmt.Errorf("unknown syslog parameter %q", parameter)
		}
		if err != nil {
			return t, err
		}
	}
	if !seen["server"] {
		return t, errors.New("no syslog server specified")
	}
	return t, nil
}

func (t *Target) setTag(tag string) error {
	if len(tag) > tagMax {
		return fmt.Errorf("syslog tag length exceeds %d", tagMax)
	}
	for _, c := range []byte(tag) {
		if c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return errors.New(`syslog "tag" only allows alphanumeric characters and underscore`)
		}
	}
	t.Tag = tag
	return nil
}

// setServer reads "1.2.3.4[:port]", "[::1][:port]", "localhost[:port]" or "unix:PATH".
func (t *Target) setServer(text string) error {
	if path, ok := strings.CutPrefix(text, "unix:"); ok {
		if path == "" {
			return fmt.Errorf("no path in the unix domain socket in syslog server %q", text)
		}
		t.Path = path
		return nil
	}
	host, port := text, uint64(defaultPort)
	if i := strings.LastIndexByte(text, ':'); i >= 0 && !strings.HasSuffix(text, "]") {
		var err error
		if port, err = strconv.ParseUint(text[i+1:], 10, 16); err != nil || port == 0 {
			return fmt.Errorf("invalid port in syslog server %q", text)
		}
		host = text[:i]
	}
	if strings.EqualFold(host, "localhost") {
		host = "127.0.0.1"
	}
	bare, bracketed := strings.CutPrefix(host, "[")
	addr, err := netip.ParseAddr(strings.TrimSuffix(bare, "]"))
	if err != nil || addr.Is4() == bracketed {
		return fmt.Errorf("syslog server %q is no address; names of hosts are not resolved", text)
	}
	t.Addr = netip.AddrPortFrom(addr, uint16(port))
	return nil
}

// AppendHeader appends what stands before a message: time is the local time as Layout has it, hostname the machine's.
func (t *Target) AppendHeader(dst []byte, severity int, time []byte, hostname string) []byte {
	dst = append(dst, '<')
	dst = strconv.AppendInt(dst, int64(t.Facility*8+severity), 10)
	dst = append(dst, '>')
	dst = append(dst, time...)
	if !t.NoHostname {
		dst = append(append(dst, ' '), hostname...)
	}
	dst = append(append(dst, ' '), t.Tag...)
	return append(dst, ": "...)
}

// Layout is how the header's time is written, in the notation of package time: RFC 3164, section 4.1.2.
const Layout = "Jan _2 15:04:05"
