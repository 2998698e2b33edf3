// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package zone is what every zone with a lock is to those outside of it, whatever it counts: limitconn, limitreq and quota embed a Handle.
//
//	limitconn.Zone --.
//	limitreq.Zone  --+-- Handle --- segment (package shm)     name, key, size, descriptor
//	quota.Zone     --'        '---- lock    (package shmtx)   kind
//
// The master makes a zone (Create), workers and the next master open it (Attach). Each process has a Handle of its own, which owns the mapping, the
// descriptor and the lock's; Close gives back all three, and nothing of what stands in the zone.
//
// When Create or Attach fails, nothing is left open; a descriptor given to Attach is then still the caller's.
//
// What is not here: what stands in a zone, what a damaged one is worth, and who repairs it. The kinds differ in that.
package zone
