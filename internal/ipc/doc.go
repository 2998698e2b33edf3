// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package ipc is what passes between the master and a worker: the manifest, once, at birth; and the
// channel, as long as both live.
//
//	master                                            worker
//	  | Manifest.Seal -> memfd                          |
//	  |---- fork+exec, descriptors 0..n --------------->| ReadManifest(3), CheckBuild
//	  |                                                 | NewChannel(manifest.Channel)
//	  |<--------------------------- ready (build) ------| or: failed (why), and exit
//	  |---- reopen (paths, descriptors) --------------->|
//	  |<--------------------------- reopened (serial) --|
//	  |<--------------------------- rotate -------------| it got SIGUSR1: asks for a reopen
//	  |<--------------------------- damaged ------------| an operation has met a damaged zone
//	  |<--------------------------- call (slot) --------| asks for another worker to be woken: its own config has no queue
//	  |---- forget (serial) --------------------------->| stops counting in an older zone
//	  |---- drain ------------------------------------->| also: again, when somebody newer takes connections, or nobody any more
//	  |<--------------------------- draining -----------| its listeners are closed
//	  |---- report (serial) --------------------------->|
//	  |<--------------------------- holding (serial) ---| what is in flight, by server and location
//	  |---- cut --------------------------------------->| its time is up
//	  |<--------------------------- drained, and exit --|
//	  |---- stop -------------------------------------->| exit at once
//
// A new master of an upgrade gets a manifest too, with a Succession (succession.go) in place of what makes a worker; the two masters have a channel of the same kind:
//
//	old master                                        new master
//	  |---- fork+exec, descriptors 0..n --------------->| ReadManifest(3), Succession.Check
//	  |<-------------------------------------- ready ---| its workers have answered it; or failed (why), and leave
//	  |---- take-over --------------------------------->|
//	  |<------------------------------------ serving ---| its addresses
//	  |---- retiring ---------------------------------->| the old workers drain
//	  |<------------------------- report, reopen -------| meanwhile: about the old one's workers
//	  |---- holding, reopened ------------------------->|
//	  |<---------------------------------- handed-on ---| it was followed by a newer one itself
//
// Everything that a worker gets, it gets by inheritance, and the manifest names all of it: each descriptor
// with what it is. Descriptors 0, 1 and 2 are /dev/null and the master's standard output and error, 3 is the
// manifest, and no other descriptor is open in a new worker than those that it lists.
//
// Beside the channel there is the hand-over queue (handover.go), between workers: one SOCK_SEQPACKET pair of which every worker inherits both ends. Those that
// drain send clients' connections, those of the newest generation take them.
//
//	worker that drains                                 worker of the newest generation
//	  |---- Connection, socket [, end of a pair] ------>| one of them gets it
//	  |<--------------------------- Taken --------------| only when it holds places under limits, on that pair
//
// A listener is found by its protocol and address, a log by its path, a zone by its name (an older one by its serial): never by position,
// because the config of the next generation may order them differently.
//
// Who owns what: the manifest's descriptors belong to the worker's process; the master closes its copies of
// the manifest, the config and the worker's end of the channel when the worker runs. A Channel owns its descriptor.
// Descriptors that arrive with a message belong to whoever called Recv.
//
// On failure: when the master dies, the worker reads end of file and drains. When the worker dies, the master reads
// end of file and reaps. A peer that does not read fills its queue and the sender gets ErrAgain; nobody waits.
//
// Not here: what a message leads to (packages master and worker), and starting processes (package master). The
// text is JSON, not a packed form: a few messages pass in a worker's life, and one can be read in a trace.
package ipc
