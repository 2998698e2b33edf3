// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"weir/internal/convert/wire"
	"weir/internal/ipc"
	"weir/internal/sys"
)

// With daemon = true, which is nginx's default and so that of an nginx.conf, the process that a user starts becomes another one in a session of its own, and ends
// when that serves:
//
//	weir ---- fork+exec, setsid ----> weir (WEIR_DAEMON=3) ---- workers ready, pid file written
//	  |          (WEIR_CONVERTED=4: its nginx.conf, converted)
//	  |<------- pipe at descriptor 3: faults, or that it serves ------'
//	  '- exit 0, or 1 with the faults
//
// So what comes after the command finds weir serving, and its pid file.

// daemonEnv is the environment variable that tells the process in the background where to say how it goes.
const daemonEnv = "WEIR_DAEMON"

// convertedEnv is the one that tells it where it finds its nginx.conf converted.
const convertedEnv = "WEIR_CONVERTED"

// daemonFD is the first descriptor that such a process gets, beside the three that all have.
const daemonFD = ipc.StderrFD + 1

// daemonServes ends what a process in the background has to say when it serves.
const daemonServes = "\x00"

// backgrounds says whether this process is to start another in the background. It is not when a service manager waits for word of this
// one, or has passed sockets to it; nor when a running weir has started it.
func (c *command) backgrounds() bool {
	for _, name := range []string{"NOTIFY_SOCKET", "LISTEN_PID", ipc.UpgradeEnv} {
		if os.Getenv(name) != "" {
			return false
		}
	}
	if c.converts() {
		result, err := c.runConvert()
		if err != nil {
			return false // what is wrong, the start finds again
		}
		c.converted = result
	}
	src, err := c.source()
	if err != nil {
		return false
	}
	c.read = &src
	top, err := readTop(src)
	if c.converted != nil && top.Daemon == nil {
		return err == nil && c.converted.Daemon
	}
	return err == nil && top.Daemon == true
}

// startDaemon starts this program again in the background and waits until it serves or has failed. What has been converted it need not convert again.
func startDaemon(self string, converted *wire.Result, stderr io.Writer) int {
	in, out, err := os.Pipe()
	if err != nil {
		fmt.Fprintf(stderr, "weir: %v\n", err)
		return 1
	}
	child := exec.Command(self)
	child.Args = os.Args
	child.Env = append(os.Environ(), daemonEnv+"="+strconv.Itoa(daemonFD))
	child.ExtraFiles = []*os.File{out}
	if file := keepConverted(converted); file != nil {
		defer file.Close()
		child.Env = append(child.Env, convertedEnv+"="+strconv.Itoa(daemonFD+1))
		child.ExtraFiles = append(child.ExtraFiles, file)
	}
	child.Stderr = os.Stderr
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := child.Start(); err != nil {
		fmt.Fprintf(stderr, "weir: %v\n", err)
		return 1
	}
	out.Close()
	said, _ := io.ReadAll(io.LimitReader(in, maxConfigBytes)) // an end without a word is said below
	text, serves := strings.CutSuffix(string(said), daemonServes)
	fmt.Fprint(stderr, text)
	if serves {
		return 0
	}
	err = child.Wait()
	if text == "" {
		fmt.Fprintf(stderr, "weir: process %d has ended before it served: %v\n", child.Process.Pid, err)
	}
	return 1
}

// keepConverted writes what has been converted to a file in memory; nil where there is none, or no such file: then it is converted again.
func keepConverted(result *wire.Result) *os.File {
	if result == nil {
		return nil
	}
	text, err := json.Marshal(result)
	if err != nil {
		return nil
	}
	fd, err := sys.SealedFile("weir-converted", text)
	if err != nil {
		return nil
	}
	return os.NewFile(uintptr(fd), "weir-converted")
}

// findConverted is what keepConverted has written; nil: nothing.
func findConverted() *wire.Result {
	text := os.Getenv(convertedEnv)
	os.Unsetenv(convertedEnv)
	fd, err := strconv.Atoi(text)
	if err != nil || fd <= ipc.StderrFD {
		return nil
	}
	defer sys.Close(fd)
	converted, err := sys.ReadSealedFile(fd, 4*maxConfigBytes)
	result := &wire.Result{}
	if err != nil || json.Unmarshal(converted, result) != nil {
		return nil
	}
	return result
}

// daemonReport is where a process in the background says how it goes; nil for every other.
func daemonReport() *os.File {
	text := os.Getenv(daemonEnv)
	os.Unsetenv(daemonEnv)
	fd, err := strconv.Atoi(text)
	if err != nil || fd <= ipc.StderrFD {
		return nil
	}
	syscall.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), daemonEnv)
}
