// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package offload

import (
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// loop is a Waker whose turns a test makes.
type loop chan struct{}

func (l loop) Wake() {
	select {
	case l <- struct{}{}:
	default:
	}
}

func TestSignals(t *testing.T) {
	l := make(loop, 1)
	var q Queue
	q.Bind(l)
	var got []os.Signal
	q.Signals(func(s os.Signal) { got = append(got, s) }, syscall.SIGUSR1, syscall.SIGWINCH)
	for _, s := range []syscall.Signal{syscall.SIGUSR1, syscall.SIGWINCH, syscall.SIGUSR1} {
		require.NoError(t, syscall.Kill(os.Getpid(), s))
		before := len(got)
		for len(got) == before {
			<-l
			q.Drain()
		}
		require.Equal(t, s, got[len(got)-1])
	}
}
