// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"weir/internal/convert"
	"weir/internal/convert/wire"
)

// version is set by the linker (-X main.version=...).
var version = "dev"

const usage = `usage:
  weir-convert [--lenient] [--main 'DIRECTIVES'] FILE
                                    write an nginx.conf as TOML for weir to standard output
  weir-convert -v                   the version
  weir-convert -h                   this help

--main are directives that come before the file's, as with nginx -g.
What weir does otherwise than nginx, and what has no effect, is said on standard error, one a line with file and line.
When something is not possible, nothing is written, and the exit code is 1. With --lenient it is left out, and said.
`

func init() {
	runtime.LockOSThread() // a build with cgo gives up its rights thread by thread (sys.NoNewPrivileges): the one that parses is the process's first
}

func main() {
	debug.SetGCPercent(400) // it lives for one configuration: time is worth more than memory
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run does what the arguments ask for and returns the exit code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	var o convert.Options
	var serve, short bool
	fs := flag.NewFlagSet("weir-convert", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.BoolVar(&o.Lenient, "lenient", false, "")
	fs.BoolVar(&serve, "serve", false, "")
	fs.StringVar(&o.Main, "main", "", "")
	fs.BoolVar(&short, "v", false, "")
	err := fs.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage)
		return 0
	case err == nil && short:
		fmt.Fprintf(stdout, "weir-convert %s\n", version)
		return 0
	case err == nil && fs.NArg() != 1:
		err = fmt.Errorf("one file is needed, not %d", fs.NArg())
	}
	if err != nil {
		fmt.Fprintf(stderr, "weir-convert: %s\n\n%s", strings.Replace(err.Error(), "flag provided but not defined:", "unknown flag", 1), usage)
		return 2
	}
	if serve {
		err = serveMaster(fs.Arg(0), o, stdin, stdout)
		if err != nil {
			fmt.Fprintf(stderr, "weir-convert: %v\n", err)
			return 1
		}
		return 0
	}
	o.Check = true
	return toStandardOutput(convert.Convert(&wire.Disk{}, fs.Arg(0), o), stdout, stderr)
}

// toStandardOutput writes a result for people.
func toStandardOutput(r *convert.Converted, stdout, stderr io.Writer) int {
	for _, note := range r.Notes {
		fmt.Fprintln(stderr, note)
	}
	if r.Refused() {
		return 1
	}
	if _, err := stdout.Write(r.Text()); err != nil {
		fmt.Fprintf(stderr, "weir-convert: %v\n", err)
		return 1
	}
	return 0
}
