// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

//go:build !amd64

package sys

// EpollEvent is struct epoll_event with its 64 bits of user data, which come back with each event.
type EpollEvent struct {
	Events uint32
	_      uint32
	Data   [2]uint32
}
