// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package master is the process that keeps its privileges: it owns the sockets, the log files and the shared memory,
// starts the workers that inherit them, and never touches a byte from a client or an origin.
//
//	signals ---------.                       .--> worker   generation 1, draining
//	control socket --+--> one loop (run) ----+--> worker   generation 2
//	workers' words --'     acts on flags     '--> worker   generation 2
//
// One goroutine, run, has all the state and no lock. Whatever happens elsewhere arrives on a channel and, at most, sets
// a flag; act looks at the flags, clears each before it acts on it, and does what is due by time. The other
// goroutines only wait: one for each worker's channel, those of the control socket's server, and one that reads the config
// for a reload. The loop never waits for a worker, a file system that hangs while a config is read, or a client of the control socket.
//
//	start, reload:  beginChange -> prepare (sockets, logs) -> zones made -> workers started -> every worker ready -> commit
//	                                   any failure, or reload_timeout -> abort: all as before
//	generation:     starting -> serving -> draining -> stopping -> gone
//	worker:         starting -> ready -> draining -> stopping -> dead (reaped, and its channel at its end)
//
// Files: master.go the loop; orders.go what signals and the control socket ask for; change.go the transaction;
// generation.go and worker.go the two pictures above; spawn.go the manifest and the start of a process; sockets.go, logs.go,
// pidfile.go, temp.go, peers.go, zones.go what is owned; zonekind.go how the kinds of zones differ; keeper.go the keeper, which looks after the zones; control.go, status.go, memorystatus.go, holders.go, upstreams.go and
// the other zone* files the control socket; successor.go, predecessor.go, proof.go, peer.go, together.go the upgrade; notify.go, activation.go the service manager; pid1.go, processors.go, memory.go containers; running.go who owns a pid file;
// banner.go, hint.go messages for the operator.
//
// An upgrade is a transaction between two masters. The old one starts the new one (successor.go), which goes through a start like any other, but with what it was handed
// (predecessor.go): openSockets goes on with the old master's sockets as if they were those of a generation before, zones likewise. When its workers have
// answered it (proof.go) it says ready, and commits when the old one says so, or has ended.
//
//	old:  beginUpgrade -> trying --ready--> taking --serving--> becomeLeaving, or beside it until an operator decides
//	          any failure, or upgrade_timeout -> giveUp: all as before; the new one ends later -> onSuccessorGone: goOn
//	new:  prepare -> every worker ready -> beginProof -> onProof (ready) --take-over--> commit, becomeTaken (serving)
//	          any failure -> abort, withdraw: the old one hears why, the process leaves
//
// What both have is closed, but never removed, by one while the other lives (together.go). Each reaps the slots that it has claimed.
//
// Zones are the exception to "one goroutine": their locks are shared with the workers, and a worker that is stopped keeps one as long as
// it likes. So the loop takes none, and leaves it to goroutines to make zones and to close them (makezones.go), which takes seconds for large ones. A keeper gives back what dead workers held, checks and rebuilds, in two
// goroutines; the control socket's look into zones that they borrow from the loop. A zone that nobody counts in any more
// is closed when the last of them is done.
//
//	worker dies -> waitpid -> slot dead -> keeper: Reap in every zone -> slot free
//	                                         '-> lock recovered, or ErrDamaged -> Check -> faults -> Rebuild
//
// A reload that changes a zone's size or lock gives the new generation a new zone and, as older ones, those in which the
// generations before count. New workers take a place in both, so an older zone holds all connections and its limit is exact for all;
// when its generations have left, the new zone holds all, and the workers are told to forget the older one. No decision ever needs two locks at once.
//
// Who owns what: a change owns what it opened until commit gives it to the master; abort closes it. A generation owns its sealed
// config. The listening sockets belong to the newest generation; workers of older ones have copies of their own. A slot of
// the shared memory belongs to a worker from its start until all that it held there has been given back (package slots).
//
// Invariants: the slots of live workers differ, over all generations. A worker is reaped once. Sockets are closed only after a
// commit that does not name them. A slot is not used while a zone holds something of its last worker. A worker that dies is started again, at once the first time, later when it keeps dying young.
//
// On failure: when a worker dies, the log says how, its counts are given back within milliseconds, and a new one is started. A damaged zone is rebuilt
// from what the live workers hold, or emptied (limit_req). When a reload fails, the old generation goes on and whoever asked for it is told why.
// When this process dies, the kernel closes the channels and the workers drain; the lock on the pid file is gone with it, so the next
// start knows that the file is stale.
//
// Not here: who is counted in a zone, and when (package request); parsing (package conf).
package master
