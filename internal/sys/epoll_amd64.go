// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package sys

// EpollEvent is struct epoll_event with its 64 bits of user data, which come back with each event.
// On amd64 the kernel packs the struct into 12 bytes; Data is therefore two words.
type EpollEvent struct {
	Events uint32
	Data   [2]uint32
}
