// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"

	"weir/conf"
)

// Where a configuration is looked for without -c: first below the prefix.
const (
	prefixConfig = "conf/weir.toml"
	systemConfig = "/etc/weir/weir.toml"
)

// embeddedName is how faults name the embedded default.
const embeddedName = "embedded weir.toml"

// maxConfigBytes is the largest configuration that is read.
const maxConfigBytes = 64 << 20

// file is the path of the configuration file, "" for the embedded default. A file that exists but cannot be read counts as there: a
// default must not stand in for it.
func (c command) file() string {
	if c.config != "" {
		return c.path(c.config)
	}
	for _, name := range []string{c.path(prefixConfig), systemConfig} {
		if _, err := os.Stat(name); !errors.Is(err, os.ErrNotExist) {
			return name
		}
	}
	return ""
}

// path is a name relative to the prefix as a path.
func (c command) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(c.prefix, name)
}

// errorLogPath is the error log's path for master.Options.
func (c command) errorLogPath() string {
	if c.errorLog == "" || c.errorLog == "stderr" {
		return c.errorLog
	}
	return c.path(c.errorLog)
}

// readGCPercent is GOGC while a configuration is read, of which nearly everything stays.
const readGCPercent = 400

// sourceOnce is source, but for what has been read already, or converted, the first time.
func (c command) sourceOnce() func() (conf.Source, error) {
	return func() (conf.Source, error) {
		now := c
		c.read, c.converted = nil, nil
		if now.read != nil {
			return *now.read, nil
		}
		return now.source()
	}
}

// source reads the configuration. It is called anew for every reload, and finds then what is there then.
func (c command) source() (conf.Source, error) {
	defer debug.SetGCPercent(debug.SetGCPercent(readGCPercent))
	src := conf.Source{Name: embeddedName, Text: conf.Default(), Overrides: c.overrides, Prefix: c.prefix}
	name := c.file()
	if name == "" {
		return src, nil
	}
	src.Name = name
	if c.config != "" {
		src.Name = c.config
	}
	info, err := os.Stat(name)
	switch {
	case err != nil && c.converts():
		return c.convert() // which says it as nginx does
	case err != nil:
		return src, fmt.Errorf("configuration: %w", err)
	case !info.Mode().IsRegular():
		return src, fmt.Errorf("configuration: %s is not a file", name)
	case info.Size() > maxConfigBytes:
		return src, fmt.Errorf("configuration: %s has %d bytes, more than %d", name, info.Size(), int64(maxConfigBytes))
	}
	if c.converts() {
		return c.convert()
	}
	if src.Text, err = os.ReadFile(name); err != nil {
		return src, fmt.Errorf("configuration: %w", err)
	}
	return src, nil
}
