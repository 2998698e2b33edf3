// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package access says who a client is, and whether it may come in, as far as its address and its header fields tell:
// nginx's modules access and realip, and the reading of RFC 7617's credentials.
//
//	address of the connection --Networks.Forwarded (X-Forwarded-For, ...)--> the client's own address --Rules.Check--> Allowed, Denied, NoRule
//	Authorization: Basic ...  --Basic-------------------------------------> user and password, which package htpasswd checks
//
// # Who owns what
//
// Rules and Networks are made once, when a config is loaded, and only read afterwards. Nothing is kept of what is asked.
//
// # Invariants
//
//   - Rules are asked in order, and the first that fits decides (TestRules).
//   - An address is taken from a list only while every address behind it, the connection's included, is trusted (TestForwarded).
//   - No question allocates (TestNoAllocations), but for an IPv6 address in a list.
//
// # On failure
//
// What cannot be read is as if it was not there: the address stays what it was, there are no credentials.
//
// # Not here
//
// The files with passwords (package htpasswd), the PROXY protocol (package proxyproto), what is answered (package request).
package access
