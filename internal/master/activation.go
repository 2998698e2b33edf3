// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"fmt"
	"os"
	"slices"

	"go.uber.org/zap"

	"weir/internal/ipc"
	"weir/internal/sys"
	"weir/internal/systemd"
)

// activate takes over the sockets that the service manager has opened for this process. They become the sockets of the present,
// as if a generation before the first had listened on them: the first generation goes on with those that its config names
// (openSockets), with the connections that wait in their queues. What is not a listening socket is closed here, and said.
func (m *master) activate() error {
	passed, err := systemd.Passed()
	if err != nil {
		return err
	}
	for _, d := range passed {
		if err := m.sockets.takePassed(d); err != nil {
			m.log.Warn("a descriptor passed by the service manager is closed", zap.String("name", d.Name), zap.Int("descriptor", d.FD), zap.Error(err))
			sys.Close(d.FD)
		}
	}
	return nil
}

// takePassed adds a passed descriptor: to the socket with its address, if there is one (several with SO_REUSEPORT may have the same).
func (list *sockets) takePassed(d systemd.Descriptor) error {
	at, ipv6Only, err := sys.InspectListener(d.FD)
	if err != nil {
		return err
	}
	path := ""
	if at.IsUnix() {
		if path = at.UnixPath(); path == "" {
			return fmt.Errorf("a unix socket without a name")
		}
	}
	s := &socket{passed: true, name: d.Name, to: at, fds: []int{d.FD}}
	s.protocol, s.address = ipc.AddressKey(at.AddrPort(), path)
	s.options.IPv6Only = ipv6Only
	for _, other := range *list {
		if other.protocol == s.protocol && other.address == s.address {
			other.fds = append(other.fds, d.FD)
			return nil
		}
	}
	*list = append(*list, s)
	return nil
}

// serves says whether a passed socket is the one that a listener of the config asks for. Its address decides, whatever its options: they
// belong to whoever has opened it. A unix socket's file may be known by several names.
func (s *socket) serves(want *socket) bool {
	if !s.passed || s.protocol != want.protocol {
		return false
	}
	if s.protocol != "unix" || s.address[0] == '@' || want.address[0] == '@' {
		return s.address == want.address
	}
	if s.address == want.address {
		return true
	}
	one, err1 := os.Stat(s.address)
	other, err2 := os.Stat(want.address)
	return err1 == nil && err2 == nil && os.SameFile(one, other)
}

// settleActivation closes the passed sockets that no listener of the first config wanted, and says what became of each.
func (m *master) settleActivation(passed sockets) {
	for _, s := range passed {
		if !s.passed {
			continue
		}
		field := zap.String("name", s.name)
		at := slices.IndexFunc(m.sockets, s.serves)
		switch {
		case at < 0:
			m.log.Warn(fmt.Sprintf("%s, passed by the service manager, is in no listen of the config: closed", s.to.String()), field)
		case m.sockets[at].options.IPv6Only != s.options.IPv6Only:
			m.log.Warn(fmt.Sprintf("%s, passed by the service manager, has another ipv6only than the config: what it has holds", s.to.String()), field)
		default:
			m.log.Info(fmt.Sprintf("%s is taken over from the service manager", s.to.String()), field)
		}
	}
	passed.close(m.sockets)
}
