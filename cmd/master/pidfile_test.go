// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// holderVariable makes this test binary a stand-in for a running master: see holdPid.
const holderVariable = "WEIR_TEST_PID_HOLDER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(holderVariable); dir != "" {
		holdPid(dir)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// holdPid holds the pid file's lock and writes down the signals that it gets; INT and QUIT end it.
func holdPid(dir string) {
	names := map[os.Signal]string{
		syscall.SIGHUP: "HUP", syscall.SIGUSR1: "USR1", syscall.SIGUSR2: "USR2", syscall.SIGWINCH: "WINCH", syscall.SIGINT: "INT", syscall.SIGQUIT: "QUIT",
	}
	signals := make(chan os.Signal, len(names))
	for s := range names {
		signal.Notify(signals, s)
	}
	file, err := os.OpenFile(filepath.Join(dir, "weir.pid"), os.O_RDWR|os.O_CREATE, 0o644)
	if err == nil {
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX)
	}
	if err == nil {
		_, err = fmt.Fprintln(file, os.Getpid())
	}
	log, logErr := os.OpenFile(filepath.Join(dir, "signals"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err = errors.Join(err, logErr); err != nil {
		panic(err)
	}
	for name := "ready"; ; name = names[<-signals] {
		fmt.Fprintln(log, name)
		if name == "INT" || name == "QUIT" {
			return
		}
	}
}

// pidHolder starts a stand-in for a running master that has a pid file and no control socket.
func pidHolder(t *testing.T, dir string) (pid int, got func() string) {
	t.Helper()
	log := filepath.Join(dir, "signals")
	holder := exec.Command(os.Args[0])
	holder.Env = append(os.Environ(), holderVariable+"="+dir, "GORACE=atexit_sleep_ms=0")
	holder.Stderr = os.Stderr
	require.NoError(t, holder.Start())
	t.Cleanup(func() { holder.Process.Kill(); holder.Wait() })
	got = func() string {
		text, _ := os.ReadFile(log)
		return strings.Join(strings.Fields(string(text)), " ")
	}
	require.Eventually(t, func() bool { return got() == "ready" }, 20*time.Second, 5*time.Millisecond)
	return holder.Process.Pid, got
}

const byPidOnly = "control = ''\npid = 'weir.pid'\n"

func TestSignalsWithoutAControlSocket(t *testing.T) {
	dir := t.TempDir()
	pid, got := pidHolder(t, dir)
	want := "ready"
	for _, c := range []struct{ config, order, signal string }{
		{byPidOnly, "reload", "HUP"},
		{"control = 'nobody.sock'\npid = 'weir.pid'\n", "reopen", "USR1"},
		{byPidOnly, "drain", "WINCH"},
		{byPidOnly, "upgrade", "USR2"},
	} {
		code, stdout, stderr := ordered(t, dir, c.config, "-s", c.order)
		require.Zero(t, code, stderr)
		require.Contains(t, stdout, fmt.Sprintf("SIG%s is sent to process %d", c.signal, pid))
		want += " " + c.signal
		require.Eventually(t, func() bool { return got() == want }, 20*time.Second, 5*time.Millisecond, "%s", got())
	}
	// A config with faults is not worth a reload; a weir that runs with an older one can be stopped with it.
	code, _, stderr := ordered(t, dir, byPidOnly+"nonsense = 1\n", "-s", "reload")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "weir.toml:3: nonsense")
	code, stdout, stderr := ordered(t, dir, byPidOnly+"nonsense = 1\n", "-s", "quit")
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, "weir: stopped, after ")
	require.Equal(t, want+" QUIT", got())
	// It has left its file behind.
	code, _, stderr = ordered(t, dir, byPidOnly, "-s", "stop")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "no running process has the pid file")
}

func TestStopWithoutAControlSocket(t *testing.T) {
	dir := t.TempDir()
	_, got := pidHolder(t, dir)
	code, stdout, stderr := ordered(t, dir, byPidOnly, "-s", "stop", "-q")
	require.Zero(t, code, stderr)
	require.Empty(t, stdout)
	require.Equal(t, "ready INT", got())
}

func TestSignalsWithNobodyToSignal(t *testing.T) {
	dir := t.TempDir()
	for config, want := range map[string]string{
		byPidOnly:                        "no running process has the pid file",
		"control = ''\npid = ''\n":       "without a pid file",
		"control = 'x.sock'\npid = ''\n": "nobody listens on its control socket",
	} {
		code, stdout, stderr := ordered(t, dir, config, "-s", "reload")
		require.Equal(t, 1, code)
		require.Empty(t, stdout)
		require.Contains(t, stderr, "no weir is running with this configuration")
		require.Contains(t, stderr, want)
	}
	// A number in a file whose lock nobody has is whoever's: it is not signalled.
	stranger := exec.Command("sleep", "60")
	require.NoError(t, stranger.Start())
	defer stranger.Wait()
	defer stranger.Process.Kill()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "weir.pid"), fmt.Appendf(nil, "%d\n", stranger.Process.Pid), 0o644))
	code, _, stderr := ordered(t, dir, byPidOnly, "-s", "stop")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "no running process has the pid file")
	require.NoError(t, stranger.Process.Signal(syscall.Signal(0)))
}
