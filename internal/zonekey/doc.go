// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package zonekey says how the key of a limit stands in a zone of shared memory: up to Max bytes as it is, a longer one by a
// digest, with what hash its node is found, and how people read and write it (text.go). limitconn and limitreq store keys in the same way.
//
// It is pure: bytes in, bytes and numbers out. What it returns stands in zones that other processes read, of another build of
// weir perhaps: a change here is a change of those zones' layout.
package zonekey
