// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package main

import (
	_ "embed" // for modules
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"weir/conf"
	"weir/internal/invariant"
	"weir/internal/master"
	"weir/internal/vars"
)

// version is set by the linker (-X main.version=...). Master and workers must have the same.
var version = "dev"

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run does what the arguments ask for and returns the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	c, err := parseArgs(args)
	switch {
	case errors.Is(err, errHelp):
		fmt.Fprint(stdout, usage)
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "weir: %v\n\n%s", err, usage)
		return 2
	}
	switch c.action {
	case actionVersion:
		fmt.Fprintf(stdout, "weir %s\n", version)
		return 0
	case actionFeatures:
		writeFeatures(stdout)
		return 0
	}
	if c.prefix, err = filepath.Abs(c.prefix); err != nil {
		fmt.Fprintf(stderr, "weir: prefix: %v\n", err)
		return 1
	}
	switch c.action {
	case actionTest, actionPrint:
		return runCheck(c, stdout, stderr)
	case actionSignal:
		return runSignal(c, stdout, stderr)
	case actionStatus:
		return runStatus(c, stdout, stderr)
	case actionZone:
		return runZone(c, stdout, stderr)
	case actionUpstream:
		return runUpstream(c, stdout, stderr)
	}
	return runMaster(c, stdout, stderr)
}

// runMaster starts weir and returns when it has ended.
func runMaster(c command, stdout, stderr io.Writer) int {
	self, err := os.Executable()
	if err != nil {
		fmt.Fprintf(stderr, "weir: %v\n", err)
		return 1
	}
	report := daemonReport()
	switch {
	case report != nil:
		stderr, c.quiet, c.converted = report, true, findConverted()
	case c.backgrounds():
		return startDaemon(self, c.converted, stderr)
	}
	if c.file() == "" && !c.quiet {
		fmt.Fprintln(stderr, "weir: no configuration file was found; this is the embedded default")
	}
	options := master.Options{
		Build:      version,
		WorkerPath: filepath.Join(filepath.Dir(self), "weir-worker"),
		Program:    ownProgram(self),
		Args:       os.Args,
		Pause:      pausePoint(),
		Read:       c.sourceOnce(),
		ErrorLog:   c.errorLogPath(),
		Quiet:      c.quiet,
		Out:        stdout,
	}
	if report != nil {
		options.Background = func() {
			_, _ = io.WriteString(report, daemonServes) // who has started it may have gone
			report.Close()
		}
	}
	if err := master.Run(options); err != nil {
		writeFaults(stderr, err)
		return 1
	}
	return 0
}

// writeFaults writes an error; the faults of a configuration as compilers write theirs, so that editors find the lines, and those of an nginx.conf as
// nginx does.
func writeFaults(w io.Writer, err error) {
	var faults conf.Faults
	if errors.As(err, &faults) {
		for _, f := range faults {
			writeFault(w, f)
		}
		return
	}
	fmt.Fprintf(w, "weir: %v\n", err)
}

// writeFault writes one fault or warning.
func writeFault(w io.Writer, f conf.Fault) {
	if f.Level != 0 {
		fmt.Fprintf(w, "weir: [%s] ", f.Level)
	}
	fmt.Fprintln(w, f)
}

// modules are the words of nginx's configure that say which of its modules weir has, and which not. A test of package convert writes and checks the file.
//
//go:embed modules.txt
var modules string

// writeFeatures answers -V. The last two lines are for what parses `nginx -V`.
func writeFeatures(w io.Writer) {
	checks := "off"
	if invariant.Enabled {
		checks = "on"
	}
	fmt.Fprintf(w, "weir %s\nbuilt with %s for %s/%s\ninvariant checks: %s\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH, checks)
	fmt.Fprintf(w, "directives as of nginx version: nginx/%s\nconfigure arguments: %s", vars.NginxRelease, modules)
}
