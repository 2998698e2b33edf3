// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"weir/internal/ipc"
	"weir/internal/limitconn"
	"weir/internal/quota"
	"weir/internal/shm"
	"weir/internal/shmtx"
	"weir/internal/slots"
	"weir/internal/sys"
	"weir/internal/zonekey"
)

// standinZones are a stand-in's zones. It counts in them what a test tells it to, over a unix socket of its own; see do.
type standinZones struct {
	manifest *ipc.Manifest
	channel  *ipc.Channel
	temp     *quota.Zone
	own      map[string]*limitconn.Zone
	older    map[string][]olderZone
	holds    map[string][][]limitconn.Hold // by "ZONE KEY"
	jobs     chan func()
}

type olderZone struct {
	serial int
	*limitconn.Zone
}

// standinOutlived is the answer of a stand-in that was told to die at a store it did not come to.
const standinOutlived = "outlived"

// standinSocket is where a stand-in takes orders.
func standinSocket(prefix string, pid int) string {
	return filepath.Join(prefix, fmt.Sprintf("%d.sock", pid))
}

// attachZones does what a worker has to do, in its order, on a thread that stays the owner of the locks.
func attachZones(manifest *ipc.Manifest, channel *ipc.Channel) (*standinZones, error) {
	s := &standinZones{
		manifest: manifest, channel: channel, own: make(map[string]*limitconn.Zone), older: make(map[string][]olderZone),
		holds: make(map[string][][]limitconn.Hold), jobs: make(chan func()),
	}
	attached := make(chan error)
	go func() {
		runtime.LockOSThread()
		attached <- s.attach()
		for job := range s.jobs {
			job()
		}
	}()
	if err := <-attached; err != nil {
		return nil, err
	}
	l, err := net.Listen("unix", standinSocket(manifest.Prefix, os.Getpid()))
	if err != nil {
		return nil, err
	}
	go s.serve(l)
	return s, nil
}

func (s *standinZones) attach() error {
	owner, err := shmtx.NewOwner()
	if err != nil {
		return err
	}
	for _, entry := range s.manifest.Zones {
		z, err := limitconn.Attach(entry.FD, owner, s.manifest.Slot)
		if err != nil {
			return err
		}
		if entry.Older {
			s.older[entry.Name] = append(s.older[entry.Name], olderZone{entry.Serial, z})
		} else {
			s.own[entry.Name] = z
		}
	}
	if s.manifest.Quota != 0 {
		if s.temp, err = quota.Attach(s.manifest.Quota, owner, s.manifest.Slot); err != nil {
			return err
		}
	}
	table, err := slots.Attach(s.manifest.Table)
	if err == nil && !table.Ready(s.manifest.Slot) {
		err = fmt.Errorf("slot %d is not this worker's any more", s.manifest.Slot)
	}
	return err
}

func (s *standinZones) serve(l net.Listener) {
	for {
		conn, err := l.Accept()
		exitOn(err)
		line, err := bufio.NewReader(conn).ReadString('\n')
		exitOn(err)
		answer := make(chan string)
		s.jobs <- func() { answer <- s.do(strings.Fields(line)) }
		fmt.Fprintln(conn, <-answer)
		conn.Close()
	}
}

// do obeys one order. Keys are written as on the control socket.
func (s *standinZones) do(words []string) string {
	z := s.own[words[1]]
	key := []byte(nil)
	if len(words) > 2 && z != nil {
		var err error
		key, err = zonekey.Parse(z.Key(), words[2])
		exitOn(err)
	}
	switch words[0] {
	case "acquire": // ZONE KEY MAX
		return s.acquire(words[1], key, number(words[3])).String()
	case "take": // temp BYTES, of the quota
		return strconv.FormatBool(s.temp.Acquire(int64(number(words[2]))))
	case "break": // temp BYTES STORE: die right before a store while taking
		left := number(words[3])
		s.temp.Mutex().HookStores(func() {
			if left--; left == 0 {
				syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
		})
		s.temp.Acquire(int64(number(words[2])))
		return standinOutlived
	case "release": // ZONE KEY
		held := s.holds[words[1]+" "+string(key)]
		limitconn.Release(held[len(held)-1])
		s.holds[words[1]+" "+string(key)] = held[:len(held)-1]
		return "released"
	case "older": // ZONE: how many older zones it counts in
		return strconv.Itoa(len(s.older[words[1]]))
	case "fill": // ZONE KEY: distinct keys that begin with KEY, until there is no room
		for i := 0; ; i++ {
			if v := s.acquire(words[1], fmt.Appendf(key, "%d", i), 1); v != limitconn.Passed {
				return strconv.Itoa(i)
			}
		}
	case "die": // ZONE KEY STORE: right before its so-manieth store to shared memory
		left := number(words[3])
		z.Mutex().HookStores(func() {
			if left--; left == 0 {
				syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
		})
		s.acquire(words[1], key, 1000)
		return standinOutlived
	case "stick": // ZONE: keep its lock
		z.Mutex().Lock()
		s.channel.Send(ipc.Message{Kind: ipc.Draining}) // the master's log shows that it has it
		select {}
	case "damage": // ZONE: its tree hangs on a wild offset
		memory, err := sys.MapShared(z.FD(), int(z.SizeBytes()))
		exitOn(err)
		copy(memory[shm.UserArea:], []byte{0xf1, 0xff, 0xff, 0x7f})
		return "damaged"
	}
	return "what?"
}

// acquire takes a place in the older zones too, first of all.
func (s *standinZones) acquire(name string, key []byte, most int) limitconn.Verdict {
	var limits []limitconn.Limit
	for _, z := range s.older[name] {
		limits = append(limits, limitconn.Limit{Zone: z.Zone, Key: key, Max: uint32(most)})
	}
	limits = append(limits, limitconn.Limit{Zone: s.own[name], Key: key, Max: uint32(most)})
	holds, verdict, _ := limitconn.Acquire(nil, limits)
	if verdict == limitconn.Passed {
		s.holds[name+" "+string(key)] = append(s.holds[name+" "+string(key)], holds)
	}
	if verdict == limitconn.Damaged {
		s.channel.Send(ipc.Message{Kind: ipc.Damaged, Text: name})
	}
	return verdict
}

// forget stops counting in an older zone.
func (s *standinZones) forget(serial int) {
	done := make(chan struct{})
	s.jobs <- func() {
		for name, list := range s.older {
			s.older[name] = nil
			for _, z := range list {
				if z.serial != serial {
					s.older[name] = append(s.older[name], z)
				}
			}
		}
		close(done)
	}
	<-done
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	exitOn(err)
	return n
}
