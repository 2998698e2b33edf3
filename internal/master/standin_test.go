// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/conf"
	"weir/internal/ipc"
	"weir/internal/stats"
	"weir/internal/sys"
)

// The test binary is its own worker: started with standinEnv it reads the manifest, speaks the protocol, and answers each
// connection with what it knows of itself.

const (
	standinEnv   = "WEIR_TEST_STANDIN"
	standinBuild = "build under test"
)

func TestMain(m *testing.M) {
	if os.Getenv(standinEnv) != "" {
		standin()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// standinReport is what a stand-in answers to a connection.
type standinReport struct {
	PID      int
	Manifest *ipc.Manifest
	Open     map[int]string // descriptors when it started
	Mode     string
	Title    string
	Env      []string
}

// standinMode is how a stand-in behaves: a comment in its config says it, of which the harness makes a value (default_type), because workers get no comments.
var standinMode = regexp.MustCompile(`(?m)^# standin: (\S+)$`)

func standin() {
	signal.Ignore(syscall.SIGPIPE, syscall.SIGHUP)
	open := openDescriptors()
	manifest, err := ipc.ReadManifest(ipc.ManifestFD)
	exitOn(err)
	channel := ipc.NewChannel(manifest.Channel)
	fail := func(err error) {
		if err != nil {
			channel.Send(ipc.Message{Kind: ipc.Failed, Text: err.Error()})
			os.Exit(1)
		}
	}
	own := standinBuild
	packed, err := manifest.ReadConfig()
	exitOn(err)
	config, err := conf.Unpack(packed, manifest.Prefix)
	exitOn(err)
	mode := config.HTTP.DefaultType
	if mode == "stale-build" {
		own = "another build"
	}
	fail(manifest.CheckBuild(own))
	fail(manifest.Check())
	counters, err := stats.Attach(manifest.Stats)
	fail(err)
	switch mode {
	case "crash":
		os.Exit(3)
	case "fail":
		fail(errors.New("user \"nobody\": not found"))
	case "hang":
		time.Sleep(time.Hour) // select {} would be a deadlock that the runtime reports
	case "lying-build":
		channel.Send(ipc.Message{Kind: ipc.Ready, Build: "yet another build"})
		waitForMaster(channel)
		os.Exit(0)
	}
	zones, err := attachZones(manifest, channel)
	fail(err)
	report := standinReport{PID: os.Getpid(), Manifest: manifest, Open: open, Mode: mode, Title: os.Args[0], Env: os.Environ()}
	var listeners []net.Listener
	for _, l := range manifest.Listeners {
		listener, err := net.FileListener(os.NewFile(uintptr(l.FD), l.Address))
		fail(err)
		listeners = append(listeners, listener)
		go standinServe(listener, report, counters.Slot(manifest.Slot))
	}
	if mode == "crash-once-ready" {
		channel.Send(ipc.Message{Kind: ipc.Ready, Build: own})
		os.Exit(7)
	}
	quit := make(chan os.Signal, 1)
	signal.Notify(quit, syscall.SIGQUIT)
	go func() {
		<-quit
		channel.Send(ipc.Message{Kind: ipc.Draining})
		channel.Send(ipc.Message{Kind: ipc.Drained})
		os.Exit(0)
	}()
	rotate := make(chan os.Signal, 1)
	signal.Notify(rotate, syscall.SIGUSR1)
	go func() {
		for range rotate {
			channel.Send(ipc.Message{Kind: ipc.Rotate})
		}
	}()
	fail(channel.Send(ipc.Message{Kind: ipc.Ready, Build: own}))
	standinObey(channel, manifest, mode, listeners, zones, config.WorkerShutdownTimeout)
}

// standinObey does what the master says, until it says or is the end.
func standinObey(channel *ipc.Channel, manifest *ipc.Manifest, mode string, listeners []net.Listener, zones *standinZones, leave time.Duration) {
	for {
		message, fds, err := waitForMaster(channel)
		if errors.Is(err, io.EOF) {
			os.Exit(0)
		}
		exitOn(err)
		switch message.Kind {
		case ipc.Stop, ipc.Cut:
			if mode != "deaf" {
				os.Exit(0)
			}
		case ipc.Drain:
			for _, l := range listeners {
				l.Close()
			}
			channel.Send(ipc.Message{Kind: ipc.Draining, LeaveMs: leave.Milliseconds()})
			if mode == "slow" || mode == "deaf" {
				continue // something is in flight
			}
			channel.Send(ipc.Message{Kind: ipc.Drained})
			os.Exit(0)
		case ipc.Report:
			channel.Send(ipc.Message{Kind: ipc.Holding, Serial: message.Serial, Holders: []ipc.Holder{
				{What: "request", Server: "example.com", Location: "/", Count: 1, OldestMs: 1000},
			}})
		case ipc.Forget:
			zones.forget(message.Serial)
		case ipc.Reopen:
			if mode == "no-reopen" {
				continue
			}
			for i, path := range message.Paths {
				fd, _ := manifest.Log(path)
				exitOn(sys.Dup3(fds[i], fd))
				sys.Close(fds[i])
				_, err := syscall.Write(fd, fmt.Appendf(nil, "slot %d writes to the new file\n", manifest.Slot)) // not by an os.File, which would close it some time
				exitOn(err)
			}
			channel.Send(ipc.Message{Kind: ipc.Reopened, Serial: message.Serial})
		}
	}
}

func standinServe(listener net.Listener, report standinReport, counters *stats.Page) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		counters.Accepted.Inc()
		counters.Requests.Inc()
		json.NewEncoder(conn).Encode(report)
		conn.Close()
	}
}

// waitForMaster waits for a message; a real worker has epoll tell it.
func waitForMaster(channel *ipc.Channel) (ipc.Message, []int, error) {
	for {
		message, fds, err := channel.Recv()
		if !errors.Is(err, ipc.ErrAgain) {
			return message, fds, err
		}
		time.Sleep(time.Millisecond)
	}
}

// openDescriptors lists what is open, without what the Go runtime and the listing itself opened.
func openDescriptors() map[int]string {
	dir, err := os.Open("/proc/self/fd")
	exitOn(err)
	names, err := dir.Readdirnames(-1)
	exitOn(err)
	open := make(map[int]string)
	for _, name := range names {
		var fd int
		fmt.Sscan(name, &fd)
		target, err := os.Readlink("/proc/self/fd/" + name)
		runtimes := target == "anon_inode:[eventpoll]" || target == "anon_inode:[eventfd]" || strings.HasPrefix(target, "/sys/fs/cgroup/")
		if err == nil && !runtimes && !strings.HasSuffix(target, "/fd") {
			open[fd] = target
		}
	}
	dir.Close()
	return open
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "stand-in worker:", err)
		os.Exit(9)
	}
}
