// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Command weir is the master process, and the command line of a running one.
//
//	arguments -> parseArgs -> command -> run -+-> runMaster   package master, until a signal or an order ends it
//	                                          +-> runCheck    -t, -T
//	                                          +-> runSignal   -s   \ over the control socket
//	                                          '-> runStatus status /
//
// main.go chooses; daemon.go puts the master into the background; flags.go reads the command line into a command; source.go finds and reads the configuration, convert.go an
// nginx.conf by way of weir-convert; check.go answers -t
// and -T; control.go talks to a running master, zone.go about its zones, and pidfile.go sends it signals where it has no control socket. Everything that lives longer than one answer is package master's.
//
// Exit codes: 0 it is done, 1 it failed, 2 the command line is wrong. Faults go to standard error, each on a line, those of a configuration
// as FILE:LINE: KEY: TEXT so that editors find them.
//
// -t and -T read the configuration and nothing else: no socket is opened, no file made, no name looked up. For an nginx.conf they run
// weir-convert, which can do none of these either.
package main
