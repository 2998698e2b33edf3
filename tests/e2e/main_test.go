// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// weirBinary is the path of the master under test; written once by TestMain.
var weirBinary string

// testVersion is linked into both binaries, so that they accept each other.
const testVersion = "0.0.0-e2e"

// versionVariable is the linker name of the version, as the Makefile sets it.
const versionVariable = "main.version"

// useNginx says that the suite checks itself against the system's nginx.
func useNginx() bool { return os.Getenv("WEIR_E2E_PROXY") == "nginx" }

func weirOnly(t testing.TB) {
	t.Helper()
	if useNginx() {
		t.Skip("only weir has this")
	}
}

func TestMain(m *testing.M) {
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	if useNginx() {
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
	for binary, pkg := range map[string]string{weirBinary: "../../cmd/master", workerBinary: "../../cmd/worker"} {
		if err := buildBinary(binary, pkg, testVersion); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return m.Run()
}

// buildBinary builds pkg into the file binary, with version linked in.
func buildBinary(binary, pkg, version string) error {
	args := []string{"build", "-trimpath", "-buildvcs=false", "-ldflags", "-X " + versionVariable + "=" + version}
	args = append(args, strings.Fields(os.Getenv("WEIR_E2E_BUILDFLAGS"))...)
	args = append(args, "-o", binary, pkg)
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}
