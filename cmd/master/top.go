// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package main

import (
	"bytes"

	"github.com/BurntSushi/toml"

	"weir/conf"
)

// top are keys of the top level that are asked for without the rest of the configuration, which may be long, or faulty.
type top struct {
	Daemon  any     `toml:"daemon"`  // of any type: the check of the whole says what is wrong with it
	Control *string `toml:"control"` // nil: not written
	Pid     *string `toml:"pid"`
}

// readTop reads the keys of the top level. The error says that the text is not TOML, or that a value has the wrong type.
func readTop(src conf.Source) (top, error) {
	var t top
	text := beforeTables(src.Text)
	if _, err := toml.Decode(string(text), &t); err != nil { // it may have been cut within a value of several lines
		t = top{}
		if _, err := toml.Decode(string(src.Text), &t); err != nil {
			return t, err
		}
	}
	_, err := toml.Decode(src.Overrides, &t) // these win
	return t, err
}

// beforeTables is a text up to the first line that may be the header of a table, behind which there are no keys of the top level.
func beforeTables(text []byte) []byte {
	end := 0
	for line := range bytes.Lines(text) {
		if bytes.HasPrefix(bytes.TrimLeft(line, " \t"), []byte("[")) {
			break
		}
		end += len(line)
	}
	return text[:end]
}
