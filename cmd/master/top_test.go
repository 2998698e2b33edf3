// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"weir/conf"
)

// The keys of the top level are found without the tables, and not in them.
func TestReadTop(t *testing.T) {
	for _, tt := range []struct {
		name, text, overrides string
		daemon, fails         bool
	}{
		{name: "nothing"},
		{name: "on", text: "daemon = true\n[http]\n", daemon: true},
		{name: "off", text: "daemon = false\n[http]\n"},
		{name: "of a table", text: "# daemon\n [http]\ndaemon = true\n"},
		{name: "behind a list", text: "x = [\n  [1],\n]\ndaemon = true\n[http]\n", daemon: true},
		{name: "behind a text", text: "x = \"\"\"\n[http]\ndaemon = false\"\"\"\ndaemon = true\n[http]\n", daemon: true},
		{name: "overridden", text: "daemon = true\n[http]\n", overrides: "daemon = false"},
		{name: "with -g", text: "[http]\n", overrides: "daemon = true", daemon: true},
		{name: "no flag", text: "daemon = 1\ncontrol = 'x'\n"},
		{name: "faulty", text: "control = 1\n", fails: true},
		{name: "no TOML", text: "daemon = true\n= 1\n[http]\n", fails: true},
		{name: "no TOML in -g", text: "daemon = true\n", overrides: "daemon", fails: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := readTop(conf.Source{Text: []byte(tt.text), Overrides: tt.overrides})
			require.Equal(t, tt.fails, err != nil, err)
			if err == nil {
				require.Equal(t, tt.daemon, got.Daemon == true)
			}
		})
	}
}
