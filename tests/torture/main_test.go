// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package torture

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// binaries is the folder of the binaries under test; written once by TestMain.
var binaries string

func TestMain(m *testing.M) {
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "weir-torture-bin-")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binaries = dir
	for name, pkg := range map[string]string{"weir": "../../cmd/master", "weir-worker": "../../cmd/worker"} {
		args := append([]string{"build", "-trimpath", "-buildvcs=false", "-ldflags", "-X main.version=torture"}, strings.Fields(buildFlags())...)
		if out, err := exec.Command("go", append(args, "-o", filepath.Join(dir, name), pkg)...).CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "go %v: %v\n%s", args, err, out)
			return 1
		}
	}
	return m.Run()
}

// buildFlags are those of the binaries.
func buildFlags() string { return cmp.Or(os.Getenv("WEIR_TORTURE_BUILDFLAGS"), "-tags=invariants") }

// number is a setting in the environment.
func number(name string, otherwise uint64) uint64 {
	n, err := strconv.ParseUint(os.Getenv(name), 10, 64)
	if err != nil {
		return otherwise
	}
	return n
}

// TestTorture makes some runs: two short ones, if nothing else is asked for.
func TestTorture(t *testing.T) {
	seconds := time.Duration(number("WEIR_TORTURE_SECONDS", 1)) * time.Second
	seed := number("WEIR_TORTURE_SEED", 0)
	runs := number("WEIR_TORTURE_RUNS", 2)
	if seed != 0 {
		runs = 1
	}
	for i := range runs {
		s := seed
		if s == 0 {
			s = rand.Uint64N(1 << 32)
			if runs == 2 {
				s = i + 1 // what is always run is always the same
			}
		}
		t.Run(fmt.Sprintf("seed=%d", s), func(t *testing.T) { torture(t, s, seconds) })
	}
}
