// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package interop

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// server is nginx or weir, with its own prefix and origins.
type server struct {
	t       testing.TB
	name    string
	dir     string
	ports   []string
	replace [][2]string // marks, and what stands for them
	stderr  bytes.Buffer
	cmd     *exec.Cmd
	exited  chan struct{}
}

// listens is how many addresses a configuration may name.
const listens = 3

// filesTime is when all files of a case were changed.
var filesTime = time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)

// startServer starts a program with a case's configuration.
func startServer(t testing.TB, name string, c *testCase, command func(dir string) *exec.Cmd) *server {
	t.Helper()
	s := &server{t: t, name: name}
	s.makeDir()
	dead := deadPort(t)
	origins := [][2]string{{"{{origin}}", startOrigin(t, "origin", c.origins).addr()}, {"{{origin2}}", startOrigin(t, "second origin", c.origins).addr()}, {"{{dead}}", dead}}
	for range listens {
		s.ports = append(s.ports, fmt.Sprint(boundPort(t, true)))
	}
	s.replace = append(s.replace, [2]string{"{{base}}", base}, [2]string{"{{temp}}", temp}, [2]string{"{{prefix}}", s.dir})
	s.replace = append(s.replace, origins...)
	for i, port := range s.ports {
		mark := "port"
		if i > 0 {
			mark += fmt.Sprint(i + 1)
		}
		s.replace = append(s.replace, [2]string{"{{" + strings.Replace(mark, "port", "listen", 1) + "}}", "127.0.0.1:" + port}, [2]string{"{{" + mark + "}}", port})
	}
	s.write("nginx.conf", c.conf)
	s.writeFiles(c)
	if err := s.launch(command(s.dir)); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, s.stderr.String())
	}
	return s
}

// makeDir makes a prefix that an unprivileged worker can reach into.
func (s *server) makeDir() {
	dir, err := os.MkdirTemp("", "weir-interop-")
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { os.RemoveAll(dir) })
	s.dir = dir
	modes := map[string]os.FileMode{"": 0o755, "logs": 0o777, "run": 0o777, "tmp": 0o1777}
	for sub, mode := range modes {
		if err := errors.Join(os.MkdirAll(filepath.Join(dir, sub), 0o755), os.Chmod(filepath.Join(dir, sub), mode)); err != nil {
			s.t.Fatal(err)
		}
	}
}

// writeFiles writes the files of the case. They and their folders have one time of change.
func (s *server) writeFiles(c *testCase) {
	for name, text := range c.files {
		for path := s.write(name, text); path != s.dir; path = filepath.Dir(path) {
			if err := os.Chtimes(path, filesTime, filesTime); err != nil {
				s.t.Fatal(err)
			}
		}
	}
}

// write writes a file of the prefix, with the marks replaced.
func (s *server) write(name, text string) string {
	path := filepath.Join(s.dir, name)
	for _, r := range s.replace {
		text = strings.ReplaceAll(text, r[0], r[1])
	}
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		s.t.Fatal(err)
	}
	return path
}

func (s *server) addr(i int) string { return "127.0.0.1:" + s.ports[i] }

// launch starts the program and waits until the first address takes connections.
func (s *server) launch(cmd *exec.Cmd) error {
	cmd.Stdout, cmd.Stderr = &s.stderr, &s.stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		return err
	}
	s.cmd, s.exited = cmd, make(chan struct{})
	exited := s.exited
	go func() { _ = cmd.Wait(); close(exited) }()
	s.t.Cleanup(func() { s.end(syscall.SIGKILL) })
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if c, err := net.DialTimeout("tcp", s.addr(0), time.Second); err == nil {
			c.Close()
			return nil
		}
		select {
		case <-exited:
			return fmt.Errorf("it left: %v", cmd.ProcessState)
		case <-time.After(5 * time.Millisecond):
		}
	}
	s.end(syscall.SIGKILL)
	return errors.New("it does not take connections")
}

// end ends the program, if it runs, with a signal; KILL goes to its workers, too.
func (s *server) end(signal syscall.Signal) {
	select {
	case <-s.exited:
		return
	default:
	}
	if signal == syscall.SIGKILL {
		_ = syscall.Kill(-s.cmd.Process.Pid, signal)
	} else {
		_ = s.cmd.Process.Signal(signal)
	}
	select {
	case <-s.exited:
	case <-time.After(patience):
		s.t.Errorf("%s does not end", s.name)
		_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
		<-s.exited
	}
}

var serverName = regexp.MustCompile(`(nginx|weir)/[0-9]+\.[0-9A-Za-z.+-]+`)

// plain is a text with everything that is the server's own put back to the marks.
func (s *server) plain(text string) string {
	for _, r := range s.replace {
		if r[0] != "{{base}}" && r[0] != "{{temp}}" {
			text = strings.ReplaceAll(text, r[1], r[0])
		}
	}
	text = serverName.ReplaceAllString(text, "{{server}}")
	return strings.NewReplacer("<center>nginx</center>", "<center>{{server}}</center>", "<center>weir</center>", "<center>{{server}}</center>").Replace(text)
}

var errorLine = regexp.MustCompile(`^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[(\w+)\] \d+#\d+: \*\d+ (.*)$`)

// excess depends on the milliseconds between two requests.
var excess = regexp.MustCompile(`excess: [0-9.]+`)

var levels = []string{"debug", "info", "notice", "warn", "error", "crit", "alert", "emerg"}

// log reads a log's lines; of the error log those about connections, of the level and above.
func (s *server) log(name, level string) string {
	text, err := os.ReadFile(filepath.Join(s.dir, "logs", name))
	if err != nil {
		s.t.Errorf("%s: %v", s.name, err)
	}
	var lines strings.Builder
	for line := range strings.Lines(s.plain(string(text))) {
		if strings.Contains(line, "/--probe") {
			continue
		}
		if level != "" {
			m := errorLine.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
			if m == nil || indexOf(levels, m[1]) < indexOf(levels, level) || strings.Contains(line, "while waiting for request") {
				continue
			}
			line = m[1] + ": " + excess.ReplaceAllString(m[2], "excess: N") + "\n"
		}
		lines.WriteString(line)
	}
	return lines.String()
}

func indexOf(list []string, item string) int {
	for i, other := range list {
		if other == item {
			return i
		}
	}
	return -1
}
