// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"errors"
	"os"

	"weir/internal/ipc"
	"weir/internal/sys"
)

// peer is another master: the old one, or the new one, of an upgrade.
type peer struct {
	pid     int
	channel *ipc.Channel
	socket  *os.File // owns the channel's descriptor
}

func newPeer(pid int, channel *ipc.Channel) *peer {
	return &peer{pid: pid, channel: channel, socket: os.NewFile(uintptr(channel.FD()), "channel")}
}

// word is something that a peer said.
type word struct {
	peer    *peer
	message ipc.Message
	end     bool // the channel is at its end
}

// listen hands what the peer says to the loop, in a goroutine of its own, until the channel ends or the master has left the loop.
func (p *peer) listen(heard chan<- word, left <-chan struct{}) {
	for {
		message, err := receive(p.socket, p.channel)
		select {
		case heard <- word{peer: p, message: message, end: err != nil}:
		case <-left:
			return
		}
		if err != nil {
			return
		}
	}
}

// receive waits for one message. An error means that there will be no more. Descriptors that come along are closed: nobody has any to give to a master.
func receive(socket *os.File, channel *ipc.Channel) (ipc.Message, error) {
	raw, err := socket.SyscallConn()
	if err != nil {
		return ipc.Message{}, err
	}
	var message ipc.Message
	var fault error
	err = raw.Read(func(uintptr) bool {
		var fds []int
		message, fds, fault = channel.Recv()
		for _, fd := range fds {
			sys.Close(fd)
		}
		return !errors.Is(fault, ipc.ErrAgain)
	})
	return message, errors.Join(err, fault)
}

// onWord acts on what another master said.
func (m *master) onWord(w word) {
	switch {
	case m.predecessor != nil && w.peer == m.predecessor.peer:
		m.onPredecessor(w)
	case m.successor != nil && w.peer == m.successor.peer:
		m.onSuccessor(w)
	case w.end: // of an upgrade that was given up
		w.peer.socket.Close()
	}
}
