// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	"strings"
	"testing"
)

// What is not the packed form of a configuration is an error, wherever it was cut or changed, and never a panic.
func FuzzUnpack(f *testing.F) {
	_, packed, _, err := LoadPacked(Source{Text: []byte(everything), Overrides: "worker_processes = 3"})
	if err != nil {
		f.Fatal(err)
	}
	if c, err := Unpack(packed, ""); err != nil || c.WorkerProcesses != 3 {
		f.Fatalf("%v, overrides are not in it", err)
	}
	for n := range packed {
		if _, err := Unpack(packed[:n], ""); err == nil || !strings.Contains(err.Error(), "damaged") {
			f.Fatalf("%d of %d bytes: %v", n, len(packed), err)
		}
	}
	for _, seed := range []string{string(packed), "", "s\x01a", "t\x00\x01\x01a", "t\x00\x01\x01af\x00\x00", "l\x00\xff\xff\xff\xff\x0f", "t\x00\x01\x01ai\x00\x80", "t\x00\x00t", "t\x00\x02\x01at\x00\x00\x01at\x00\x00"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, packed []byte) {
		cfg, err := Unpack(packed, "/prefix")
		if (cfg == nil) != (err != nil) {
			t.Fatalf("config %v with error %v", cfg, err)
		}
	})
}
