// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package interop

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// weirBinary and nginxBinary are the two programs; written once by TestMain. nginxBinary is empty when there is no nginx.
var weirBinary, nginxBinary string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	for _, name := range []string{"nginx", "/usr/sbin/nginx", "/usr/local/sbin/nginx"} {
		if path, err := exec.LookPath(name); err == nil {
			nginxBinary = path
			break
		}
	}
	if nginxBinary == "" && !everything {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "weir-interop-bin-")
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
	for name, pkg := range map[string]string{"weir": "master", "weir-worker": "worker", "weir-convert": "convert"} {
		args := []string{"build", "-trimpath", "-buildvcs=false", "-ldflags", "-X main.version=0.0.0-interop"}
		args = append(args, strings.Fields(os.Getenv("WEIR_E2E_BUILDFLAGS"))...)
		args = append(args, "-o", filepath.Join(dir, name), "../../cmd/"+pkg)
		if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "go %s: %v\n%s", strings.Join(args, " "), err, out)
			return 1
		}
	}
	return m.Run()
}

func needNginx(t testing.TB) {
	t.Helper()
	switch {
	case nginxBinary != "" && os.Geteuid() != 0:
		t.Skip("the packaged nginx cannot write its own log files without root")
	case nginxBinary != "":
	case everything:
		t.Fatal("there is no nginx here")
	default:
		t.Skip("there is no nginx here")
	}
}
