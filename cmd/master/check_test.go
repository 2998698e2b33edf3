// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package main

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"weir/conf"
	"weir/internal/limitconn"
	"weir/internal/shm"
)

// TestZoneSizes checks that the bounds of a zone's size in the configuration are sizes that a zone can have, and the least of them the least.
func TestZoneSizes(t *testing.T) {
	load := func(size int64) error {
		_, _, err := conf.Load(conf.Source{Text: fmt.Appendf(nil, "http.limit_conn_zone.a = { key = '$host', size = %d }\n[[http.server]]", size)})
		return err
	}
	const largest = 4095 << 20
	for _, c := range []struct {
		size int64
		good bool
	}{{shm.MinBytes - 1, false}, {shm.MinBytes, true}, {largest, true}, {largest + 1, false}, {shm.MaxBytes + 1, false}} {
		if err := load(c.size); (err == nil) != c.good {
			t.Errorf("size %d: %v", c.size, err)
		}
		if c.good && limitconn.Capacity(c.size, 4) <= 0 {
			t.Errorf("size %d is accepted, and holds no key", c.size)
		}
	}
}

// TestCapacityIsDocumented checks the number that docs/limits.md gives.
func TestCapacityIsDocumented(t *testing.T) {
	cfg := &conf.Config{HTTP: conf.HTTP{LimitConnZones: []conf.LimitConnZone{{Name: "addr", Size: 10 << 20}}}}
	var line bytes.Buffer
	writeCapacities(&line, "", cfg)
	text, err := os.ReadFile("../../docs/limits.md")
	if err != nil || !bytes.Contains(text, line.Bytes()) {
		t.Errorf("docs/limits.md does not say %q: %v", line.String(), err)
	}
}

func TestWithCommas(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 163805: "163,805", 1234567: "1,234,567"} {
		if got := withCommas(n); got != want {
			t.Errorf("%d: got %q, want %q", n, got, want)
		}
	}
}
