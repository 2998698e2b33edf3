// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// startTimeout is how long a started server has until it answers.
const startTimeout = 10 * time.Second

// stopTimeout is how long a server has to end after SIGTERM.
const stopTimeout = 5 * time.Second

// process is a server that this program started: its master, and the worker that is measured.
type process struct {
	name    string
	command *exec.Cmd
	ended   chan struct{} // closed when the master has been reaped
	output  *tailBuffer
	worker  int // pid
}

// startProcess starts a command pinned to a core, in a process group of its own, and waits until address accepts.
func startProcess(ctx context.Context, name, folder string, core int, address string, command ...string) (*process, error) {
	p := &process{name: name, ended: make(chan struct{}), output: &tailBuffer{}}
	p.command = exec.Command("taskset", append([]string{"-c", strconv.Itoa(core)}, command...)...)
	p.command.Dir = folder
	p.command.Stdout, p.command.Stderr = p.output, p.output
	p.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	p.command.WaitDelay = stopTimeout // a worker that outlives its master holds the output open
	if err := p.command.Start(); err != nil {
		return nil, fmt.Errorf("start(%s): %w", name, err)
	}
	go func() {
		_ = p.command.Wait() // the exit code says nothing here: why it ended is in its output
		close(p.ended)
	}()
	if err := p.waitUntilItAccepts(ctx, address); err != nil {
		p.stop()
		return nil, fmt.Errorf("start(%s): %w\n%s", name, err, p.output)
	}
	return p, nil
}

func (p *process) waitUntilItAccepts(ctx context.Context, address string) error {
	deadline := time.Now().Add(startTimeout)
	for {
		c, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			return c.Close()
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case p.hasEnded():
			return errors.New("it ended")
		case time.Now().After(deadline):
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (p *process) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// stop ends the whole process group: politely, then not.
func (p *process) stop() {
	group := -p.command.Process.Pid
	_ = syscall.Kill(p.command.Process.Pid, syscall.SIGTERM) // it may have ended
	select {
	case <-p.ended:
	case <-time.After(stopTimeout):
	}
	_ = syscall.Kill(group, syscall.SIGKILL) // what is left of it, if anything is
	<-p.ended
}

// findWorker sets worker to the master's only child.
func (p *process) findWorker() error {
	master := p.command.Process.Pid
	deadline := time.Now().Add(startTimeout)
	for {
		children, err := childrenOf(master)
		if err != nil {
			return err
		}
		if len(children) == 1 {
			p.worker = children[0]
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("findWorker(%s): %d children, want 1", p.name, len(children))
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// childrenOf lists the processes whose parent is pid.
func childrenOf(pid int) ([]int, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	var children []int
	for _, name := range stats {
		stat, err := readStat(name)
		if err == nil && stat.parent == pid {
			children = append(children, stat.pid)
		}
	}
	return children, nil
}

// procStat is what is read of proc_pid_stat(5).
type procStat struct {
	pid, parent int
	user        time.Duration
	system      time.Duration
}

// clockTick is the unit of times in /proc/PID/stat; every architecture of Linux that Go runs on has 100 a second.
const clockTick = 10 * time.Millisecond

func readStat(name string) (procStat, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return procStat{}, err
	}
	return parseStat(text)
}

func parseStat(text []byte) (procStat, error) {
	open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 0 || end < 0 {
		return procStat{}, errors.New("parseStat: no command name")
	}
	fields := strings.Fields(string(text[end+1:])) // from field 3, the state
	if len(fields) < 13 {
		return procStat{}, fmt.Errorf("parseStat: %d fields", len(fields))
	}
	var numbers [4]int
	for i, field := range []string{strings.TrimSpace(string(text[:open])), fields[1], fields[11], fields[12]} {
		n, err := strconv.Atoi(field)
		if err != nil {
			return procStat{}, fmt.Errorf("parseStat: %w", err)
		}
		numbers[i] = n
	}
	return procStat{numbers[0], numbers[1], time.Duration(numbers[2]) * clockTick, time.Duration(numbers[3]) * clockTick}, nil
}

// residentBytes is the resident set of a process.
func residentBytes(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("residentBytes(%d): no VmRSS", pid)
}

// freePorts asks the kernel for ports that nobody listens on.
func freePorts(n int) ([]int, error) {
	ports := make([]int, n)
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // after the last one was found, so that no port comes twice
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports, nil
}

// tailBuffer keeps the last bytes that a server printed.
type tailBuffer struct {
	mu   sync.Mutex
	tail []byte
}

var _ io.Writer = (*tailBuffer)(nil)

const tailBytes = 4096

func (b *tailBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tail = append(b.tail, p...)
	if len(b.tail) > tailBytes {
		b.tail = append(b.tail[:0], b.tail[len(b.tail)-tailBytes:]...)
	}
	return len(p), nil
}

func (b *tailBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.tail)
}
