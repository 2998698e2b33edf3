// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package syslog is what weir knows of syslog(3)'s protocol in the form that nginx speaks it (RFC 3164): where messages go, by a text such as
// "syslog:server=192.0.2.1,facility=local7,tag=nginx", and the header that each begins with.
//
//	<190>Nov 21 20:00:00 host nginx: the line
//	 |   |               |    |
//	 |   |               |    tag
//	 |   |               host name, unless nohostname
//	 |   local time
//	 facility * 8 + severity
//
// It is pure: sockets and clocks are package logfile's. A Target is immutable and owned by nobody. Parse is the only thing that fails: with the fault in
// nginx's words.
//
// Not here: RFC 5424, which nginx does not speak either; looking up names of hosts; acknowledgements, which the protocol does not have.
package syslog
