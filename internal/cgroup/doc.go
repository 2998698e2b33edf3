// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package cgroup reads what the kernel's control groups allow this process: processors and memory. In a container that is less
// than what the machine has, and nothing else says so.
//
//	/proc/self/mountinfo   which hierarchy is mounted where, and which group its mount point shows
//	/proc/self/cgroup      the process's group in each hierarchy
//	                       '--> the group's directory; a limit of any group from there up to the mount point counts
//
// Both versions, and systems that mount both at once. A group's limit holds for all below it, so the least one on the way up is
// the one that bites. What lies above the mount point of a container cannot be seen from inside; the container's own limits are at
// the mount point.
//
// Invariants: reading changes nothing. What is missing, unreadable or nonsense is no limit: a start never fails for it.
//
// Not here: the cpuset. The kernel applies it to the process's affinity mask, which sys.Processors reads.
package cgroup
