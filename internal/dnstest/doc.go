// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package dnstest is a name server for tests, on loopback, over UDP and TCP on one port of the kernel's choice.
//
// Only tests import it. It serves the records that it is given, which may change at any time, follows the aliases among them as a recursive server does, and
// can be told to misbehave. It ends with its test.
package dnstest
