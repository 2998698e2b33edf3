// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package peers is what all workers know together of the origins: whose turn it is, which ones have failed, how many requests each has in progress, and what
// an operator or a health check has said of them.
//
//	header (shm.UserArea)     blocks (shm.DataArea), one for each origin of each group
//	  slots  64                 +0    state   debt, fails, checked, start, busy, admin, health    two cache lines
//	  count  3                  +128  entry   "app\x00127.0.0.1:9000"                             whose block it is
//	  state                     +512  cells   {work, picks} of slot 0, of slot 1, ...             16 bytes each
//
// There is one zone for the whole instance. The master makes it when it starts and keeps it; workers of all generations, and the master of an upgrade, attach the same one. So
// an origin that stays keeps what is known of it over reloads and upgrades. A block belongs to one origin of one group (Name); Register makes those of a
// new config before its workers start, Retain frees those that no config has any more. A worker looks its origins up once and keeps a Peer, which
// is two pointers. Only the blocks in use are backed by memory.
//
// # What changes how
//
//   - A cell is written by the worker in its slot alone, without a lock: requests in progress and requests given to the origin so far. The next holder of the slot goes on counting picks.
//   - busy, the sum of the work that is counted under the lock, and the cell it belongs to change together, in one transaction: least_conn and random two choose by
//     it. A worker that does not choose by it leaves it alone: so it costs nobody else anything.
//   - fails, failedMs, checkedMs and penalty, and what SetAdmin and SetHealth change, go through the transaction too. They are read without the lock, word by word.
//   - debt is what smooth weighted round robin owes an origin. It is changed under the lock, so that two workers never take the same turn, but not through the
//     transaction: a worker that is killed between two of a group's stores leaves debts that do not add up to 0, and that is no fault. An amount by which all debts
//     are off changes no choice, and one by which a single debt is off is worked off in the turns that follow, no more than the killed pick was worth: one turn. The undo log would
//     cost three stores for each origin of the group at each request, and bound groups to its length.
//
// The lock is held for one choice (a loop over the origins of a group) or one transaction.
//
// # Time
//
// All times are milliseconds on CLOCK_MONOTONIC (clock.Clock.SharedMs), which all processes have in common; 0: never.
//
// # Failure
//
// What a killed worker had in progress is in its cells; the master gives it back (Reap) before the slot is used again. A busy that is not the sum of its cells, found by
// Check or when a request ends, marks the zone, and Rebuild adds the cells up anew. Meanwhile choices go on by what is there.
//
// Invariants (Check): busy is the sum of what the cells have counted into it; a block in use has a name that no other has.
//
// What is not here: how a choice is made (package upstream), max_conns (package limitconn), and who checks health.
package peers
