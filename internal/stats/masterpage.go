// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package stats

import "weir/internal/shm"

// MasterPage is what only the master knows. It stands at shm.UserArea. One writer: the master that serves; the one that takes over in an
// upgrade goes on with it. A total never falls.
type MasterPage struct {
	slots  uint64  // 0: how many there are; never changed
	series Counter // 8: blocks of series that are reserved; see Register

	StartedSec    Counter // 16: when the first master started, in seconds since the epoch
	Generation    Counter // 24: that serves
	Workers       Counter // 32: how many it is to have
	Reloads       Counter // 32: total: that succeeded
	ReloadsFailed Counter // 40: total
	ReloadedMs    Counter // 48: when the last of either ended, in milliseconds since the epoch; 0: there was none
	ReloadOK      Counter // 56: 1 when it succeeded, or there was none
	Upgrades      Counter // 64: total: that succeeded
	Deaths        Counter // 72: total: workers that ended unasked
}

// Master is the page of the master.
func (s *Segment) Master() *MasterPage { return shm.At[MasterPage](s.zone, shm.UserArea) }
