// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package eventpipe

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestLargeRates: whatever a config or a variable gives, what a rate allows does not overflow, and never falls.
func TestLargeRates(t *testing.T) {
	const monthMs = 30 * 24 * 3600 * 1000
	for _, rate := range []Rate{{1, math.MaxInt64}, {math.MaxInt64, math.MaxInt64}, {RateMax, 0}, {RateMax, math.MaxInt64 - 1}} {
		var m meter
		m.set(rate, 5, 0)
		before := int64(0)
		for at := int64(5); at < monthMs; at = at*3 + 1 {
			n := m.allowed(at, 0)
			require.GreaterOrEqual(t, n, before, "%+v at %d", rate, at)
			before = n
		}
		require.Positive(t, before)
	}
}
