// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// weirBinary is the path of the master under test; written once by TestMain.
var weirBinary string

// convertBinary is the path of weir-convert; written once by TestMain.
var convertBinary string

// testVersion is linked into all binaries, so that they accept each other.
const testVersion = "0.0.0-e2e"

// versionVariable is the linker name of the version, as the Makefile sets it.
const versionVariable = "main.version"

// useNginx says that the suite checks itself: every configuration is written as an nginx.conf, for the system's nginx or, to check the
// conversion, for weir.
func useNginx() bool { return os.Getenv("WEIR_E2E_PROXY") == "nginx" || useConverted() }

// useConverted says that weir is given the nginx.conf.
func useConverted() bool { return os.Getenv("WEIR_E2E_PROXY") == "converted" }

func weirOnly(t testing.TB) {
	t.Helper()
	if useNginx() {
		t.Skip("only weir has this")
	}
}

func TestMain(m *testing.M) {
	if os.Getenv(subreaperEnv) != "" {
		becomeSubreaper()
	}
	syscall.Umask(0o022) // workers of another user read what tests make
	settle()
	os.Exit(buildAndRun(m))
}

// settle sets what costs or saves most of the time that the tests take.
func settle() {
	// Most parallel tests wait for some timeout of the proxy: more of them run at once than there are processors, unless -parallel says otherwise.
	given := false
	flag.Parse()
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		_ = flag.Set("test.parallel", strconv.Itoa(3*runtime.GOMAXPROCS(0)))
	}
	// With the race detector a process sleeps for a second before it exits, also each `weir -s reload`.
	if os.Getenv("GORACE") == "" {
		_ = os.Setenv("GORACE", "atexit_sleep_ms=0")
	}
}

func buildAndRun(m *testing.M) int {
	if useNginx() && !useConverted() {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "weir-e2e-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	weirBinary = filepath.Join(dir, "weir")
	workerBinary := filepath.Join(dir, "weir-worker") // weir finds it beside itself
	convertBinary = filepath.Join(dir, "weir-convert")
	if err := buildBinaries(map[string]string{weirBinary: "../../cmd/master", workerBinary: "../../cmd/worker", convertBinary: "../../cmd/convert"}, testVersion); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// buildBinaries builds packages into files, named by these, side by side.
func buildBinaries(packages map[string]string, version string, flags ...string) error {
	var building sync.WaitGroup
	errs := make(chan error, len(packages))
	for binary, pkg := range packages {
		building.Go(func() { errs <- buildBinary(binary, pkg, version, flags...) })
	}
	building.Wait()
	close(errs)
	var all []error
	for err := range errs {
		all = append(all, err)
	}
	return errors.Join(all...)
}

// buildBinary builds pkg into the file binary, with version linked in and further flags.
func buildBinary(binary, pkg, version string, flags ...string) error {
	args := []string{"build", "-trimpath", "-buildvcs=false", "-ldflags", "-X " + versionVariable + "=" + version}
	args = append(args, strings.Fields(os.Getenv("WEIR_E2E_BUILDFLAGS"))...)
	args = append(args, flags...)
	args = append(args, "-o", binary, pkg)
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// writeProgram writes a program that is run soon. No process is started meanwhile: one that still had the file open for writing would have the kernel refuse to run it
// (execve(2), ETXTBSY).
func writeProgram(t testing.TB, name string, text []byte, mode os.FileMode) {
	t.Helper()
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(name, text, mode); err != nil {
		t.Fatal(err)
	}
}
