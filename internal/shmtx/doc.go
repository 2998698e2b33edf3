// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package shmtx is the lock of a zone and the transactions made under it.
//
//	tx := m.Lock()          takes the lock; undoes what a dead owner left; begins a transaction
//	tx.Put32(&n.total, 7)   writes {where, old value} to the undo log, counts it, then stores
//	tx.Commit()             the log is empty: what was stored is final
//	tx.Rollback()           the old values, last one first; the log is empty
//	m.Unlock()              commits, gives the lock back
//
//	0x0200  lock word        its own cache line
//	0x0240  undo length      how many records are valid
//	0x0248  counters
//	0x1000  undo records     {offset, old word}: 16 bytes each, 512 of them
//
// # The rule
//
// Every store to what other processes may see goes through the transaction, with two exceptions: memory that was free when the transaction began, and
// counters that nothing depends on. So a process can be killed at any instruction: whoever takes the lock next finds the undo log, and restores the state before the
// transaction. No master is needed for it. A recovery that is killed is done again by the one after, with the same result.
//
// What survives a thread that is killed is what it has written by then, in program order, whatever the processor reorders: the kernel that ends the thread
// and hands the lock on is a barrier. The order that matters, record before length before store, is therefore a matter of the compiler:
// see put.
//
// # Two kinds of locks
//
// flock: a lock on an open file description of the process's own. The kernel drops it when the process ends. It costs two system calls.
//
// atomic: a futex word with the owner's thread number. The owner's thread has told the kernel (set_robust_list) where to look when it
// dies: the field list_op_pending, in which it puts the address of the word before it touches it, and which it clears after it is done with it. One lock at a time, so
// one field is enough, and the kernel's list of held locks stays empty. If the word holds the dying thread's number, the kernel replaces it with FUTEX_OWNER_DIED,
// keeps FUTEX_WAITERS, and wakes one who waits.
//
// The windows in which the owner O can die, and what happens:
//
//  1. pending is set, the word not taken. The word holds 0 or somebody else's number: the kernel leaves it alone.
//  2. The word is taken, before or in a transaction. The kernel marks and wakes; the next owner undoes the log.
//  3. The log is committed, the word still taken. The same; there is nothing to undo.
//  4. The word is given back (0), nobody slept; pending still set. As 1.
//  5. The word is given back with FUTEX_WAITERS left in it, nobody woken yet. The kernel finds pending set and no owner, and wakes one who sleeps.
//  6. A sleeper S has been woken and dies before it takes the word. The word is free, with FUTEX_WAITERS, and S has pending set: the kernel wakes the next one, as in 5.
//  7. As 6, but somebody else, B, has taken the word before S could. B has found FUTEX_WAITERS and kept it, so it wakes the next one when it is done. Only if the one who gave
//     the word back to S and B has seen no sleeper and removed the mark, while a third went to sleep, does nobody know of that third: it wakes up by itself
//     after 5 ms, the longest that anyone sleeps, and sets the mark again. Linux before 5.15 or so, which in 5 and 6 wants the whole word to be 0, relies on the same.
//
// FUTEX_WAITERS is set by whoever goes to sleep, and by whoever takes the word after having slept, since it does not know who else sleeps.
//
// The worker's loop thread is an Owner for life. The master has many threads: its Owner is shared, lets one goroutine in at a time, and registers
// that goroutine's thread, locked, from Lock to Unlock. The Go runtime has no robust list of its own. The list head stands in a shared mapping, because the kernel's
// out-of-memory killer may strip a process of its private pages before it looks at the list.
//
// Assumed: all users of a zone are in one PID namespace, since thread numbers are compared (Open refuses another; flock does not care), and each thread number
// belongs to one thread, as long as something holds it: the kernel does not give the number of a live thread away, and a dead one's is gone from the word.
//
// A stopped owner (SIGSTOP) stops everybody who wants the lock. So does one that the scheduler does not let run, for that time.
//
// # Failure
//
// An undo log that cannot be one is dropped and reported as a *shm.Fault by Lock, which then does not hold the lock. The user has the zone checked and
// rebuilt. Two locks at once, more than 512 stores, a pointer from elsewhere: bugs, which panic; when that ends the process, the kernel frees the lock and the next owner undoes.
//
// What is not here: who waits is not served in order. A lock that is given back goes to whoever is there first; TestMutualExclusion and BenchmarkContended
// show what that means for the least lucky one.
package shmtx
