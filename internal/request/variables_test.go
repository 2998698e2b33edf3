// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"testing"

	"github.com/stretchr/testify/require"

	"weir/internal/vars"
)

// TestEveryVariableIsThere fails when the catalogue has a variable that requests do not know.
func TestEveryVariableIsThere(t *testing.T) {
	table := newVariables()
	for id := vars.ID(1); int(id) < vars.NumIDs; id++ {
		require.NotNil(t, table[id], "$%s", id)
	}
}
