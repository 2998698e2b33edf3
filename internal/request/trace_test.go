// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestValidTrace: W3C Trace Context, section 3.2.
func TestValidTrace(t *testing.T) {
	const trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	for v, want := range map[string]bool{
		"00-" + trace + "-" + parent + "-01":                             true,
		"00-" + trace + "-" + parent + "-00":                             true,
		"cc-" + trace + "-" + parent + "-01":                             true,
		"cc-" + trace + "-" + parent + "-01-what-the-future-will-be":     true,
		"cc-" + trace + "-" + parent + "-01.what-the-future-will-be":     false,
		"00-" + trace + "-" + parent + "-01-more":                        false,
		"ff-" + trace + "-" + parent + "-01":                             false,
		"0g-" + trace + "-" + parent + "-01":                             false,
		"00-" + trace + "-" + parent + "-0":                              false,
		"00-" + trace + "-" + parent + "-0X":                             false,
		"00_" + trace + "-" + parent + "-01":                             false,
		"00-" + trace + "_" + parent + "-01":                             false,
		"00-" + trace + "-" + parent + "_01":                             false,
		"00-00000000000000000000000000000000-" + parent + "-01":          false,
		"00-" + trace + "-0000000000000000-01":                           false,
		"00-4BF92F3577B34DA6A3CE929D0E0E4736-" + parent + "-01":          false,
		"00-" + trace + "-00f067aa0ba902bG-01":                           false,
		"":                                                               false,
		"00-" + trace + "-" + parent + "-01, 00-" + trace + "-" + parent: false,
	} {
		require.Equal(t, want, validTrace([]byte(v)), v)
	}
}
