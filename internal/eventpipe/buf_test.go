// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package eventpipe

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
)

// What `weir -t` says about descriptors is what they take.
func TestBufSize(t *testing.T) {
	require.EqualValues(t, bufBytes, reflect.TypeFor[Buf]().Size())
	t.Logf("a pipe has %d bytes, its options %d", reflect.TypeFor[Pipe]().Size(), reflect.TypeFor[Options]().Size())
}
