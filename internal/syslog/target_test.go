// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package syslog

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	full := Target{Addr: netip.MustParseAddrPort("[::1]:99"), Facility: 3, Severity: 4, Tag: "a_1", NoHostname: true}
	for _, c := range []struct {
		text   string
		target Target
		fault  string
	}{
		{text: "syslog:server=192.0.2.1", target: Target{Addr: netip.MustParseAddrPort("192.0.2.1:514"), Facility: 23, Severity: 6, Tag: "nginx"}},
		{text: "syslog:server=unix:/dev/log,facility=kern", target: Target{Path: "/dev/log", Severity: 6, Tag: "nginx"}},
		{text: "syslog:server=localhost:1,tag=", target: Target{Addr: netip.MustParseAddrPort("127.0.0.1:1"), Facility: 23, Severity: 6}},
		{text: "syslog:server=[::1]:99,facility=daemon,severity=warn,tag=a_1,nohostname", target: full},
		{text: "syslog:", fault: `unknown syslog parameter ""`},
		{text: "syslog:tag=x", fault: "no syslog server specified"},
		{text: "syslog:server=127.0.0.1,server=127.0.0.2", fault: `duplicate syslog "server"`},
		{text: "syslog:server=127.0.0.1,facility=x", fault: `unknown syslog facility "x"`},
		{text: "syslog:server=127.0.0.1,severity=x", fault: `unknown syslog severity "x"`},
		{text: "syslog:server=127.0.0.1,tag=a-b", fault: `syslog "tag" only allows alphanumeric characters and underscore`},
		{text: "syslog:server=127.0.0.1,tag=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", fault: "syslog tag length exceeds 32"},
		{text: "syslog:server=127.0.0.1,nohostname=1", fault: `unknown syslog parameter "nohostname=1"`},
		{text: "syslog:server=127.0.0.1:x", fault: `invalid port in syslog server "127.0.0.1:x"`},
		{text: "syslog:server=unix:", fault: `no path in the unix domain socket in syslog server "unix:"`},
		{text: "syslog:server=::1", fault: `syslog server "::1" is no address; names of hosts are not resolved`},
	} {
		target, err := Parse(c.text)
		if c.fault != "" {
			require.EqualError(t, err, c.fault, c.text)
			continue
		}
		require.NoError(t, err, c.text)
		require.Equal(t, c.target, target, c.text)
	}
}

func TestHeader(t *testing.T) {
	at := time.Date(2026, 11, 2, 8, 9, 10, 0, time.UTC).AppendFormat(nil, Layout)
	target := Target{Facility: 23, Tag: "nginx"}
	require.Equal(t, "x<190>Nov  2 08:09:10 host nginx: ", string(target.AppendHeader([]byte("x"), 6, at, "host")))
	target.NoHostname = true
	require.Equal(t, "<184>Nov  2 08:09:10 nginx: ", string(target.AppendHeader(nil, 0, at, "host")))
}
