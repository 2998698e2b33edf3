// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestConverts(t *testing.T) {
	for name, want := range map[string]bool{
		"": false, "weir.toml": false, "/etc/weir/weir.toml": false, "nginx.conf": true, "/etc/nginx/nginx.conf": true, "toml": true, "a.toml.bak": true,
	} {
		require.Equal(t, want, command{config: name}.converts(), name)
	}
}

// Without weir-convert beside it, an nginx.conf is an error that says what is missing.
func TestConvertIsMissing(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "nginx.conf"), nil, 0o644))
	_, err := command{config: "nginx.conf", prefix: dir}.source()
	require.ErrorContains(t, err, "weir-convert: no such file or directory")
}

func TestLimited(t *testing.T) {
	var b strings.Builder
	w := &limited{&b, 5}
	for range 3 {
		n, err := w.Write([]byte("abc"))
		require.NoError(t, err)
		require.Equal(t, 3, n)
	}
	require.Equal(t, "abcab", b.String())
}

func TestLenientNeedsAnNginxConf(t *testing.T) {
	_, err := parseArgs([]string{"--lenient", "-t", "-c", "weir.toml"})
	require.ErrorContains(t, err, "--lenient goes with")
	c, err := parseArgs([]string{"--lenient", "-t", "-c", "nginx.conf"})
	require.NoError(t, err)
	require.True(t, c.lenient)
}
