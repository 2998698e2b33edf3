// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// callgrindTable is the table of connections of a proxy that is only counted.
const callgrindTable = 1000

// monitorTimeout is how long valgrind may take to carry out a command.
const monitorTimeout = 30 * time.Second

// callgrind counts the user instructions of a process that runs under valgrind(1): exactly, under many clients at once, some fifty
// times slower than the processor. It counts every thread.
type callgrind struct {
	folder string // everything it writes
	pid    int
}

// findValgrind is the path of valgrind, or "" when it or the program that gives it commands is not installed.
func findValgrind() string {
	valgrind, err1 := exec.LookPath("valgrind")
	_, err2 := exec.LookPath("vgdb")
	if errors.Join(err1, err2) != nil {
		return ""
	}
	return valgrind
}

// valgrindCommand starts a program under callgrind with counting off. Its pipes and counts are in folder.
func valgrindCommand(valgrind, folder string, command ...string) []string {
	return append([]string{valgrind, "-q", "--tool=callgrind", "--instr-atstart=no", "--vgdb-prefix=" + filepath.Join(folder, "vgdb"),
		"--callgrind-out-file=" + filepath.Join(folder, "counts.%p")}, command...)
}

// writeCountedWeir fills a folder in which weir finds, beside itself, a weir-worker that runs the real one under callgrind.
func writeCountedWeir(valgrind, folder, binaries string) error {
	if err := copyFile(filepath.Join(folder, "weir"), filepath.Join(binaries, "weir")); err != nil {
		return err
	}
	if err := copyFile(filepath.Join(folder, "worker"), filepath.Join(binaries, "weir-worker")); err != nil {
		return err
	}
	command := valgrindCommand(valgrind, folder, filepath.Join(folder, "worker"))
	script := "#!/bin/sh\nexec '" + strings.Join(command, "' '") + "' \"$@\"\n"
	return os.WriteFile(filepath.Join(folder, "weir-worker"), []byte(script), 0o755)
}

func copyFile(to, from string) (err error) {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	_, err = io.Copy(target, source)
	return err
}

// startCounted starts a proxy whose worker runs under callgrind.
func (b *benchmark) startCounted(ctx context.Context, name string, mixed bool) (runningServer, *callgrind, error) {
	counts := filepath.Join(b.folder, folderOf(name+"-callgrind", mixed))
	if err := os.MkdirAll(counts, 0o755); err != nil {
		return runningServer{}, nil, err
	}
	s := serverOf(name, b.binaries)
	switch name {
	case "weir": // only the worker, which weir finds beside itself
		if err := writeCountedWeir(b.valgrind, counts, b.binaries); err != nil {
			return runningServer{}, nil, err
		}
		s = serverOf(name, counts)
		s.config = strings.Replace(s.config, weirUser, `user = "root"`, 1) // valgrind's pipes are root's
	case "nginx": // valgrind takes no commands for a process that was forked
		s.alone = true
		s.command = func(folder, config string) []string {
			return valgrindCommand(b.valgrind, counts, append(nginxCommand(folder, config), "-g", "daemon off; master_process off;")...)
		}
	case "haproxy": // a master would execute itself again, without valgrind
		s.alone = true
		s.command = func(_, config string) []string {
			return valgrindCommand(b.valgrind, counts, "haproxy", "-db", "-f", config)
		}
	}
	s.mixed = mixed
	p, err := s.start(ctx, name, filepath.Join(b.folder, folderOf(name+"-counted", mixed)), b.proxyCore, b.origin.port, callgrindTable)
	if err != nil {
		return p, nil, err
	}
	return p, &callgrind{folder: counts, pid: p.worker}, nil
}

// countAll counts the user instructions of a request of each workload that is counted, as often as there are rounds. It opens the
// connections, and asks on each, before it counts; what is counted is whole requests and nothing else.
func (b *benchmark) countAll(ctx context.Context, name string) error {
	return errors.Join(b.countWorkloads(ctx, name, false), b.countWorkloads(ctx, name, true))
}

// countWorkloads is countAll for those that are mixed, or for the others.
func (b *benchmark) countWorkloads(ctx context.Context, name string, mixed bool) error {
	p, counter, err := b.startCounted(ctx, name, mixed)
	if err != nil {
		return err
	}
	defer p.stop()
	for range b.rounds {
		for _, w := range workloads {
			if w.counted == 0 || w.mixed != mixed {
				continue
			}
			instructions, err := counter.perRequest(ctx, p.address(w), w)
			if err != nil {
				return fmt.Errorf("%s: %w\n%s", w.name, err, p.output)
			}
			b.addCount(name, w, byCallgrind, instructions)
		}
	}
	return nil
}

// perRequest counts w.counted requests.
func (c *callgrind) perRequest(ctx context.Context, address string, w workload) (float64, error) {
	clients, err := openIdle(ctx, address, w.busy)
	if err != nil {
		return 0, err
	}
	defer clients.close()
	each := max(1, w.counted/w.busy)
	if err := clients.askAll(w, 2); err != nil {
		return 0, err
	}
	if err := c.tell(ctx, "instrumentation", "on"); err != nil {
		return 0, err
	}
	asked := clients.askAll(w, each)
	if err := errors.Join(asked, c.tell(ctx, "instrumentation", "off"), c.tell(ctx, "dump")); err != nil {
		return 0, err
	}
	total, err := c.take()
	return float64(total) / float64(each*w.busy), err
}

// tell has valgrind carry out one of callgrind's monitor commands.
func (c *callgrind) tell(ctx context.Context, command ...string) error {
	ctx, cancel := context.WithTimeout(ctx, monitorTimeout)
	defer cancel()
	arguments := append([]string{"--vgdb-prefix=" + filepath.Join(c.folder, "vgdb"), "--pid=" + strconv.Itoa(c.pid)}, command...)
	out, err := exec.CommandContext(ctx, "vgdb", arguments...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("vgdb(%s): %w: %s", strings.Join(command, " "), err, out)
	}
	return nil
}

// take reads the total of the counts that were dumped, and removes their file.
func (c *callgrind) take() (int64, error) {
	files, err := filepath.Glob(filepath.Join(c.folder, fmt.Sprintf("counts.%d.*", c.pid)))
	if err != nil {
		return 0, err
	}
	if len(files) != 1 {
		return 0, fmt.Errorf("callgrind: %d files of counts, want 1", len(files))
	}
	file, err := os.Open(files[0])
	if err != nil {
		return 0, err
	}
	defer file.Close()
	total, err := parseCallgrind(file)
	return total, errors.Join(err, os.Remove(files[0]))
}

// parseCallgrind adds up what a file of counts says that was executed: the format is in valgrind's manual, "Callgrind Format
// Specification". The line "totals:" counts all of the file.
func parseCallgrind(r io.Reader) (int64, error) {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		if rest, ok := strings.CutPrefix(scanner.Text(), "totals:"); ok {
			fields := strings.Fields(rest)
			if len(fields) != 1 {
				return 0, fmt.Errorf("parseCallgrind: %d totals, want that of instructions alone", len(fields))
			}
			return strconv.ParseInt(fields[0], 10, 64)
		}
	}
	return 0, errors.Join(errors.New("parseCallgrind: no totals"), scanner.Err())
}
