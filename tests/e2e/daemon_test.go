// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// background runs a command that puts weir into the background, and returns its process. It is ended with the test.
func background(t *testing.T, p *proxy, args ...string) int {
	t.Helper()
	cmd := exec.Command(weirBinary, append([]string{"-p", p.dir}, args...)...)
	out, err := cmd.CombinedOutput() // its end says that nothing of it holds the output
	if err != nil {
		t.Fatalf("%v\n%s%s", err, out, p.readLog("error.log"))
	}
	text, err := os.ReadFile(p.path("run", "weir.pid"))
	if err != nil {
		t.Fatalf("the command has ended, and there is no pid file: %v", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(pid, syscall.SIGTERM)
		eventually(t, stopDeadline, "the end of the process", func() bool { return syscall.Kill(pid, 0) != nil })
	})
	if _, err := net.DialTimeout("tcp", "127.0.0.1:"+p.ports[0], ioDeadline); err != nil {
		t.Errorf("the command has ended, and nobody takes connections: %v", err)
	}
	return pid
}

// An nginx.conf that says nothing of it, and daemon = true, put weir into the background: the command ends when it serves, with another process in a session of
// its own, whose standard error is the error log. It can be told to reload and to quit.
func TestDaemon(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	for name, config := range map[string]string{
		"nginx.conf": "pid run/weir.pid;\nerror_log logs/error.log notice;\nevents {}\nhttp { server { listen 127.0.0.1:@PORT1@; return 204; } }\n",
		"weir.toml": "daemon = true\npid = \"run/weir.pid\"\nworker_processes = 1\nerror_log = { path = \"logs/error.log\", level = \"notice\" }\n" +
			"[[http.server]]\nlisten = [\"127.0.0.1:@PORT1@\"]\nreturn = { code = 204 }\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProxy(t)
			p.config = name
			p.ports = freePorts(t, 1)
			p.writeConfig(config)
			pid := background(t, p, "-c", "conf/"+name)
			stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			if err != nil {
				t.Fatal(err)
			}
			_, rest, _ := strings.Cut(string(stat), ") ")
			if session := strings.Fields(rest)[3]; session != strconv.Itoa(pid) {
				t.Errorf("process %d is in session %s", pid, session)
			}
			for fd, want := range map[int]string{0: "/dev/null", 1: "/dev/null", 2: p.path("logs", "error.log")} {
				if got, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, fd)); got != want {
					t.Errorf("descriptor %d is %s (%v), want %s", fd, got, err, want)
				}
			}
			if out, code := weirCommand(t, p.dir, "-s", "reload", "-c", "conf/"+name); code != 0 {
				t.Errorf("reload: exit %d, %s", code, out)
			}
			if out, code := weirCommand(t, p.dir, "-s", "quit", "-c", "conf/"+name); code != 0 {
				t.Errorf("quit: exit %d, %s", code, out)
			}
			if log := p.readLog("error.log"); !strings.Contains(log, "exit") {
				t.Errorf("the error log:\n%s", log)
			}
		})
	}
}

// What keeps weir from serving is said by the command, whether it is found before the process is in the background or there.
func TestDaemonFails(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	p := newProxy(t)
	p.config = "nginx.conf"
	p.ports = []string{strconv.Itoa(ln.Addr().(*net.TCPAddr).Port)}
	for config, want := range map[string]string{
		"events {}\nhttp { server { listen 127.0.0.1:@PORT1@; return 204; } }\n": "address already in use",
		"events {}\nhttp { nonsense; }\n":                                        "unknown directive \"nonsense\" in ",
	} {
		p.writeConfig(config)
		if out, code := weirCommand(t, p.dir, "-c", "conf/nginx.conf"); code != 1 || !strings.Contains(out, want) {
			t.Errorf("exit %d, want 1 and %q:\n%s", code, want, out)
		}
	}
}

// -g takes nginx's directives for an nginx.conf; one that stands in the file, too, is a fault, as it is for nginx.
func TestNginxConfMain(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	p := newProxy(t)
	p.config = "nginx.conf"
	p.writeConfig("events {}\nhttp { server { listen 127.0.0.1:1; return 204; } }\n")
	out, code := weirCommand(t, p.dir, "-T", "-c", "conf/nginx.conf", "-g", "daemon off; worker_processes 3;")
	if code != 0 || !strings.Contains(out, "daemon = false") || !strings.Contains(out, "worker_processes = 3") {
		t.Errorf("exit %d:\n%s", code, out)
	}
	out, code = weirCommand(t, p.dir, "-T", "-c", "conf/nginx.conf", "-g", "worker_processes = 4")
	if code != 0 || !strings.Contains(out, "daemon = true") || !strings.Contains(out, "worker_processes = 4") {
		t.Errorf("exit %d:\n%s", code, out)
	}
	p.writeConfig("daemon on;\nevents {}\nhttp {}\n")
	out, code = weirCommand(t, p.dir, "-t", "-c", "conf/nginx.conf", "-g", "daemon off;")
	if code != 1 || !strings.Contains(out, "\"daemon\" directive is duplicate in ") || !strings.Contains(out, "conf/nginx.conf test failed") {
		t.Errorf("exit %d:\n%s", code, out)
	}
}
