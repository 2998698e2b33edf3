// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// subreaperEnv makes the test binary a child subreaper that becomes weir: TestMain looks at it.
const subreaperEnv = "WEIR_E2E_SUBREAPER"

// becomeSubreaper is what the test binary does when subreaperEnv is set: prctl(2) PR_SET_CHILD_SUBREAPER outlives execve.
func becomeSubreaper() {
	const prSetChildSubreaper = 36
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, prSetChildSubreaper, 1, 0); errno != 0 {
		fmt.Fprintln(os.Stderr, "prctl(PR_SET_CHILD_SUBREAPER):", errno)
		os.Exit(1)
	}
	os.Unsetenv(subreaperEnv)
	err := syscall.Exec("/bin/sh", append([]string{"sh"}, os.Args[1:]...), os.Environ())
	fmt.Fprintln(os.Stderr, "execve(/bin/sh):", err)
	os.Exit(1)
}

// strangers is a shell's command line that leaves weir two children it has not started, each of which ends when it can read a line
// from the fifo: one that the shell had, and an orphan. What the command line is given becomes weir.
const strangers = `(read x <'%[1]s') & ((read x <'%[1]s') &) ; exec "$0" "$@"`

// The master as process 1, or as subreaper, takes strangers away that end, and does not mistake them for workers.
func TestReapsStrangers(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	for _, kind := range []string{"subreaper", "process 1"} {
		t.Run(strings.ReplaceAll(kind, " ", "-"), func(t *testing.T) {
			t.Parallel()
			o := okOrigin(t)
			p := newProxy(t)
			fifo := p.path("fifo")
			if err := syscall.Mkfifo(fifo, 0o600); err != nil {
				t.Fatal(err)
			}
			writer, err := os.OpenFile(fifo, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer writer.Close()
			p.noPid = kind == "process 1" // its number is another there
			p.prepare = func(cmd *exec.Cmd) {
				script := []string{"-c", fmt.Sprintf(strangers, fifo)}
				switch kind {
				case "subreaper":
					cmd.Path = os.Args[0]
					cmd.Args = slices.Concat([]string{cmd.Path}, script, cmd.Args)
					cmd.Env = append(os.Environ(), subreaperEnv+"=1")
				default:
					script[1] = "mount -t proc proc /proc; " + script[1]
					cmd.Path = "/bin/sh"
					cmd.Args = slices.Concat([]string{"sh"}, script, cmd.Args)
					cmd.SysProcAttr.Cloneflags, cmd.SysProcAttr.Unshareflags = syscall.CLONE_NEWPID, syscall.CLONE_NEWNS
				}
			}
			if kind == "process 1" && (os.Geteuid() != 0 || exec.Command("unshare", "--pid", "--fork", "--mount-proc", "true").Run() != nil) {
				t.Skip("a pid namespace of its own, with its /proc, is not permitted here")
			}
			p.allow(`killed by signal 9`)
			p.start(site{workers: 2, origin: o.addr}.toml())
			p.waitLog(`serving`) // without the pid file start has not waited for the workers, and a first start whose worker dies fails
			master := p.cmd.Process.Pid
			count := func(state string) (n int) {
				for _, q := range processes() {
					if q.parent == master && (q.state == "Z") == (state == "Z") {
						n++
					}
				}
				return n
			}
			eventually(t, ioDeadline, "two workers and two strangers", func() bool { return count("") == 4 })
			workers := workersBelow(master)
			if err := syscall.Kill(workers[0], syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			if _, err := writer.WriteString("\n\n"); err != nil {
				t.Fatal(err)
			}
			eventually(t, ioDeadline, "two workers, and nothing that is not reaped", func() bool {
				return count("Z") == 0 && count("") == 2 && len(workersBelow(master)) == 2
			})
			p.waitLog(`worker process \d+ killed by signal 9`)
			p.get("/")
			if regexp.MustCompile(`cannot reap`).MatchString(p.stderr.String()) {
				t.Errorf("a worker was taken away as a stranger:\n%s", p.stderr)
			}
			if now := workersBelow(master); !slices.Contains(now, workers[1]) {
				t.Errorf("the other worker was %d, now there are %v", workers[1], now)
			}
		})
	}
}

// workersBelow lists the workers that are children of a master.
func workersBelow(master int) []int {
	var pids []int
	for _, q := range processes() {
		title, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", q.pid))
		if q.parent == master && q.state != "Z" && strings.HasPrefix(string(title), "weir-worker") {
			pids = append(pids, q.pid)
		}
	}
	slices.Sort(pids)
	return pids
}

// stop_signal = "graceful": TERM finishes what is in flight, within worker_shutdown_timeout; INT still stops at once.
func TestStopSignalGraceful(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	o, release := heldOrigin(t)
	graceful := `stop_signal = "graceful"` + "\n"
	p := start(t, site{origin: o.addr, main: graceful})
	c := p.dial()
	p.held(o, c, "x")
	p.signal(syscall.SIGTERM)
	refuses(t, p.addr)
	p.signal(syscall.SIGTERM) // said twice, it is as graceful
	close(release)
	if r := c.read("GET"); r.status != 200 {
		t.Errorf("the held request: status %d", r.status)
	}
	c.Close()
	if code := p.wait(stopDeadline); code != 0 {
		t.Errorf("exit code %d", code)
	}

	o, _ = heldOrigin(t)
	p = start(t, site{origin: o.addr, main: graceful + `worker_shutdown_timeout = "1s"`})
	c = p.dial()
	p.held(o, c, "y")
	begun := time.Now()
	p.signal(syscall.SIGTERM)
	p.wait(stopDeadline)
	if took := time.Since(begun); took < 800*time.Millisecond {
		t.Errorf("it left after %v, want worker_shutdown_timeout", took)
	}

	p = start(t, site{origin: o.addr, main: graceful + `worker_shutdown_timeout = "1h"`})
	c = p.dial()
	p.held(o, c, "z")
	p.signal(syscall.SIGTERM)
	refuses(t, p.addr)
	p.signal(syscall.SIGINT)
	if code := p.wait(stopDeadline); code != 0 {
		t.Errorf("INT after TERM: exit code %d", code)
	}
}

const nobodyID = 65534

// asNobody starts a command as a user who may write nowhere.
func asNobody(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to become somebody else")
	}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobodyID, Gid: nobodyID}
}

// withoutFiles is a config that needs no place to write to.
func withoutFiles(origin string) string {
	s := site{workers: 2, origin: origin, http: `access_log = [{ path = "stdout" }]`}.toml()
	s = strings.ReplaceAll(s, `"run/weir.pid"`, `""`)
	return strings.ReplaceAll(s, `"run/weir.sock"`, `""`)
}

// A user without rights, and a root that nobody can write to.
func TestRunsWithoutAPlaceToWrite(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	o := okOrigin(t)
	for _, readOnly := range []bool{false, true} {
		p := newProxy(t)
		p.noPid = true
		p.prepare = func(cmd *exec.Cmd) {
			asNobody(t, cmd)
			if readOnly {
				cmd.SysProcAttr.Credential = nil
				cmd.Args = slices.Concat([]string{"unshare", "--mount", "sh", "-c",
					`mount -o remount,bind,ro / && ! touch "$2/x" 2>/dev/null && exec setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set -all "$0" "$@"`}, cmd.Args)
				cmd.Path = "/usr/bin/unshare"
			}
		}
		if readOnly && exec.Command("unshare", "--mount", "sh", "-c", `mount -o remount,bind,ro / && ! touch "$0/x" && setpriv --reuid 65534 true`, p.dir).Run() != nil {
			t.Log("a read-only root cannot be made here, or temporary files are not below it")
			continue
		}
		p.start(withoutFiles(o.addr))
		p.waitLog(`serving`) // there is no pid file that start could have waited for
		p.get("/")
		p.signal(syscall.SIGHUP)
		p.waitLog(`serving generation=2`)
		p.get("/")
		out, code := weirCommand(t, p.dir, "-s", "reload")
		if code != 1 || !strings.Contains(out, `pid = ""`) {
			t.Errorf("weir -s reload: exit %d, %q", code, out)
		}
		p.signal(syscall.SIGQUIT)
		if code := p.wait(stopDeadline); code != 0 {
			t.Errorf("exit code %d", code)
		}
	}
}

// Each file that cannot be made is a fault that names the key and the way out.
func TestFilesThatCannotBeMade(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	for key, config := range map[string]string{
		`pid "@DIR@/run/weir.pid"`:        "control = \"\"\nerror_log = \"stderr\"\n",
		`control "@DIR@/run/weir.sock"`:   "pid = \"\"\nerror_log = \"stderr\"\n",
		`log "@DIR@/logs/access.log"`:     "pid = \"\"\ncontrol = \"\"\n",
		`pid "@DIR@/nowhere/in/weir.pid"`: "pid = \"nowhere/in/weir.pid\"\n",
	} {
		p := newProxy(t)
		p.ports = freePorts(t, 1)
		p.writeConfig(config + "[[http.server]]\nlisten = [\"127.0.0.1:@PORT1@\"]\n" + location("/", answer("x")))
		cmd := exec.Command(weirBinary, "-p", p.dir)
		asNobody(t, cmd)
		out, err := cmd.CombinedOutput()
		want := strings.ReplaceAll(key, "@DIR@", p.dir)
		if err == nil || !strings.Contains(string(out), want) || !strings.Contains(string(out), "permission denied (name a place") {
			t.Errorf("%s: %v, %s", want, err, out)
		}
	}
}

// inGroup makes a control group of version 1 or 2 with a limit and returns a shell's command line that joins it and becomes weir.
func inGroup(t testing.TB, controller, nameV1, valueV1, nameV2, valueV2 string) string {
	t.Helper()
	name := fmt.Sprintf("weir-e2e-%d-%s", os.Getpid(), controller)
	for _, c := range []struct{ parent, file, value string }{
		{"/sys/fs/cgroup/" + controller, nameV1, valueV1}, {"/sys/fs/cgroup", nameV2, valueV2},
	} {
		dir := filepath.Join(c.parent, name)
		if _, err := os.Stat(filepath.Join(c.parent, "cgroup.procs")); err != nil || os.Mkdir(dir, 0o755) != nil {
			continue
		}
		t.Cleanup(func() { os.Remove(dir) })
		if os.WriteFile(filepath.Join(dir, c.file), []byte(c.value), 0o644) == nil {
			return "echo $$ >" + dir + `/cgroup.procs && exec "$0" "$@"`
		}
		os.Remove(dir)
	}
	t.Skipf("no control group with %s that may be made here", controller)
	return ""
}

// through starts weir by a shell's command line.
func through(p *proxy, script string) {
	p.prepare = func(cmd *exec.Cmd) {
		cmd.Args = slices.Concat([]string{"sh", "-c", script}, cmd.Args)
		cmd.Path = "/bin/sh"
	}
}

// aProcessor is the number of one that this process may run on.
func aProcessor(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`(?m)^Cpus_allowed_list:\t(\d+)`).FindStringSubmatch(string(text))[1]
}

// worker_processes = "auto" follows the CPU quota of a control group, and the affinity mask.
func TestWorkersFollowTheProcessors(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	o := okOrigin(t)
	for name, script := range map[string]func(t testing.TB) string{
		"quota": func(t testing.TB) string {
			return inGroup(t, "cpu", "cpu.cfs_quota_us", "50000", "cpu.max", "50000 100000")
		},
		"affinity": func(t testing.TB) string { return `exec taskset -c ` + aProcessor(t) + ` "$0" "$@"` },
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := exec.LookPath("taskset"); err != nil || runtime.NumCPU() < 2 {
				t.Skip("one processor, or no taskset")
			}
			p := newProxy(t)
			through(p, script(t))
			p.start(strings.Replace(site{origin: o.addr}.toml(), "worker_processes = 1", `worker_processes = "auto"`, 1))
			if n := len(p.children()); n != 1 {
				t.Errorf("%d workers, want 1", n)
			}
		})
	}
}

// The heaps keep to a memory limit, and a config that asks for more than that is told so.
func TestHeapsFollowTheMemoryLimit(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	o := okOrigin(t)
	const limit = 1 << 30
	p := newProxy(t)
	through(p, inGroup(t, "memory", "memory.limit_in_bytes", strconv.Itoa(limit), "memory.max", strconv.Itoa(limit)))
	p.start(site{workers: 2, origin: o.addr, main: "worker_connections = 65536"}.toml())
	for _, pid := range p.children() {
		if want := fmt.Sprintf("GOMEMLIMIT=%d", limit/2/5); !slices.Contains(environment(t, pid), want) {
			t.Errorf("a worker's environment has not %s", want)
		}
	}
	p.waitLog(`the config lets weir use up to \d+ MiB of memory, its control group has 1024 MiB`)
}

// A user that only has a number, as in an image without /etc/passwd.
func TestUserByNumber(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	o := okOrigin(t)
	for user, want := range map[string][2]string{
		`"54321"`:                               {"54321", "54321"},
		`{ name = "54321", group = "54322" }`:   {"54321", "54322"},
		`{ name = "nobody", group = "543210" }`: {strconv.Itoa(nobodyID), "543210"},
	} {
		p := start(t, site{origin: o.addr, main: "user = " + user})
		p.get("/")
		for _, pid := range p.children() {
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
			if err != nil {
				t.Fatal(err)
			}
			for i, line := range []string{"Uid:", "Gid:"} {
				if !regexp.MustCompile(`(?m)^` + line + `(\t` + want[i] + `){4}$`).Match(text) {
					t.Errorf("user = %s: %s is not %s\n%s", user, line, want[i], text)
				}
			}
		}
	}
}

// In a pid namespace with the /proc of another, weir says what is missing.
func TestNeedsItsOwnProc(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	if exec.Command("unshare", "--pid", "--fork", "true").Run() != nil {
		t.Skip("a pid namespace of its own is not permitted here")
	}
	p := newProxy(t)
	p.ports = freePorts(t, 1)
	p.writeConfig("[[http.server]]\nlisten = [\"127.0.0.1:@PORT1@\"]\n" + location("/", answer("x")))
	out, code := runCommand(t, p.dir, "unshare", "--pid", "--fork", "--kill-child", weirBinary, "-p", p.dir)
	if code != 1 || !strings.Contains(out, "mount -t proc proc /proc") {
		t.Errorf("exit %d, %s", code, out)
	}
}
