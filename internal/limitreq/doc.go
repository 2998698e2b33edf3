// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package limitreq limits the rate of requests per key, over all workers, exactly. It is nginx's limit_req, in integer nanoseconds.
//
// A key has one number, freeNs: when all requests that were let through are worked off at the zone's rate (the virtual
// scheduling form of the generic cell rate algorithm, ITU-T I.371). With a period of T per request, at a time now:
//
//	          now              freeNs
//	-----------|--- backlog -----|-----------------> time
//	           |<-- burst x T ------------>|
//
//	from = max(freeNs, now), backlog = from - now
//	backlog > burst x T:    refused, nothing changes
//	otherwise:              freeNs = from + T, and the request waits for backlog - delay x T if that is positive
//
// So 1 + burst requests pass at one instant, and in any window of length t at most t/T + 1 + burst: nginx's figures, where nginx rounds
// to milliseconds and thousandths of a request. A period that is not a whole number of nanoseconds is rounded up.
//
//	header (shm.UserArea)
//	  root ---> node "10.1.2.3", freeNs       ordered by (hash, key)
//	            |  newer, older
//	  newest ---'  ...  <--- oldest           ordered by use
//
// A key with freeNs in the past says the same as no key: up to two such leave, from the old end, when a new key comes. In a full zone the key used longest ago
// leaves even when it is not idle, as nginx documents; that is counted.
//
// Everything but the plain counters is written under the zone's lock, through its transaction (package shmtx): a worker killed at any instruction has
// counted its request or has not. Several limits are one transaction each; Charge says what that means.
//
// Nothing belongs to a worker, so there is nothing to reap. A damaged zone is emptied, not rebuilt.
//
// Invariants (Check): the nodes in the tree are those in the order of use, as many as the header counts; the hash is the key's; every slot
// allocated in the zone is one of them; the tree's and the slab's own.
//
// What is not here: which requests are limited by what key, and the waiting of delayed ones (package request).
package limitreq
