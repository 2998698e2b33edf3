// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"weir/conf"
	"weir/internal/convert/wire"
)

// asCommand makes the test binary the command itself.
const asCommand = "WEIR_CONVERT_TEST"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	os.Exit(m.Run())
}

func TestCommandLine(t *testing.T) {
	t.Chdir(t.TempDir()) // whose own name may have blanks
	write := func(name, text string) string {
		require.NoError(t, os.WriteFile(name, []byte(text), 0o644))
		return name
	}
	write("conf.d.conf", "server { listen 8080; return 204; }\n")
	good := write("nginx.conf", "events {}\nhttp { sendfile on; include *.d.conf; }\n")
	bad := write("bad.conf", "events {}\nhttp { sendfle on; }\n")
	faulty := write("faulty.conf", "events {}\nhttp {\n  keepalive_timeout soon;\n}\n")
	broken := write("broken.conf", "events {}\nhttp {\n")
	for _, tt := range []struct {
		name, args  string
		code        int
		out, errors string
	}{
		{"help", "-h", 0, "usage:", ""},
		{"version", "-v", 0, "weir-convert " + version, ""},
		{"nothing", "", 2, "", "one file is needed, not 0"},
		{"two files", "a b", 2, "", "one file is needed, not 2"},
		{"unknown flag", "--frob x", 2, "", "unknown flag -frob"},
		{"converted", good, 0, "listen = [\"8080\"]", good + ":2: without effect: sendfile ("},
		{"unknown directive", bad, 1, "", bad + `:2: refused: sendfle (unknown directive "sendfle"; did you mean "sendfile"?)`},
		{"left out", "--lenient " + bad, 0, "[http]", bad + `:2: left out: sendfle (`},
		{"a faulty value", faulty, 1, "", faulty + `:3: refused: keepalive_timeout ("keepalive_timeout" directive invalid value`},
		{"left out, too", "--lenient " + faulty, 0, "[http]", faulty + `:3: left out: keepalive_timeout ("keepalive_timeout" directive invalid value`},
		{"no syntax", "--lenient " + broken, 1, "", broken + `:3: unexpected end of file, expecting "}"`},
		{"no file", "none", 1, "", "none\" failed (2: No such file or directory)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr strings.Builder
			require.Equal(t, tt.code, run(strings.Fields(tt.args), nil, &stdout, &stderr), stderr.String())
			require.Contains(t, stdout.String(), tt.out)
			require.Contains(t, stderr.String(), tt.errors)
			if tt.code != 0 {
				require.Empty(t, stdout.String())
			}
		})
	}
}

// When weir reads for it, weir-convert has no rights when it sees the first byte: it runs as nobody if weir is root's, gains nothing by exec, writes to
// no file, and has a limit on its time. It opens no file by itself.
func TestServe(t *testing.T) {
	cmd := exec.Command(os.Args[0], "--serve", "conf/nginx.conf")
	cmd.Env = []string{asCommand + "=1"}
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	timer := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	files := &spy{t: t, pid: cmd.Process.Pid}
	result, err := wire.Serve(out, in, files)
	require.NoError(t, err)
	require.NoError(t, cmd.Wait())
	require.False(t, result.Refused())
	require.Equal(t, []string{"read conf/nginx.conf", "glob conf/conf.d/*", "read conf/conf.d/a"}, files.asked)
	src := result.Source("x")
	config, _, err := conf.Load(src)
	require.NoError(t, err)
	require.Equal(t, uint16(81), config.HTTP.Servers[0].Listen[0].Address.IP.Port())
	require.Equal(t, "conf/conf.d/a", src.Lines[len(src.Lines)-1].File)
}

// spy answers weir-convert's questions, and looks at the process that asks.
type spy struct {
	t     *testing.T
	pid   int
	asked []string
}

func (s *spy) Read(name string) ([]byte, error) {
	s.asked = append(s.asked, "read "+name)
	if name != "conf/nginx.conf" {
		return []byte("server { listen 81; }"), nil
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.pid))
	require.NoError(s.t, err)
	status := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		status[name] = strings.Join(strings.Fields(value), " ")
	}
	require.Equal(s.t, "1", status["NoNewPrivs"])
	if account, err := user.Lookup("nobody"); os.Geteuid() == 0 && err == nil {
		uid := account.Uid
		require.Equal(s.t, strings.Join([]string{uid, uid, uid, uid}, " "), status["Uid"])
		require.Empty(s.t, strings.Trim(status["CapEff"]+status["CapPrm"], "0"))
	}
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", s.pid))
	require.NoError(s.t, err)
	require.Regexp(s.t, `(?m)^Max cpu time +30 +30 +seconds`, string(limits))
	require.Regexp(s.t, `(?m)^Max file size +0 +0 +bytes`, string(limits))
	return []byte("events {}\nhttp { include conf.d/*; }\n"), nil
}

func (s *spy) LookUp(host string) ([]string, error) { return nil, errors.New(host) }

func (s *spy) Glob(pattern string) ([]string, error) {
	s.asked = append(s.asked, "glob "+pattern)
	return []string{"conf/conf.d/a"}, nil
}

// A file that weir cannot read is a fault of the line that names it; who does not answer gets no result.
func TestServeFailures(t *testing.T) {
	var asked, answers strings.Builder
	require.NoError(t, json.NewEncoder(&answers).Encode(map[string]any{"text": []byte("events {}\ninclude secret;\n")}))
	require.NoError(t, json.NewEncoder(&answers).Encode(map[string]string{"error": "permission denied"}))
	client := wire.NewClient(strings.NewReader(answers.String()), &asked)
	_, err := client.Read("nginx.conf")
	require.NoError(t, err)
	_, err = client.Read("secret")
	require.EqualError(t, err, "permission denied")
	_, err = client.Read("more")
	require.Error(t, err)
}
