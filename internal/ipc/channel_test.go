// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package ipc

import (
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"weir/internal/sys"
)

func pair(t *testing.T) (master, worker *Channel) {
	t.Helper()
	master, fd, err := OpenPair()
	require.NoError(t, err)
	worker = NewChannel(fd)
	t.Cleanup(func() {
		for _, c := range []*Channel{master, worker} {
			if c.FD() >= 0 {
				c.Close()
			}
		}
	})
	return master, worker
}

func openCount(t *testing.T) int {
	t.Helper()
	names, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(names)
}

func TestMessagesKeepTheirBordersAndOrder(t *testing.T) {
	master, worker := pair(t)
	_, _, err := master.Recv()
	require.ErrorIs(t, err, ErrAgain)
	sent := []Message{{Kind: Ready, Build: "1.0"}, {Kind: Draining}, {Kind: Failed, Text: strings.Repeat("x", 60000)}, {Kind: Reopened, Serial: 7}}
	for _, m := range sent {
		require.NoError(t, worker.Send(m))
	}
	for _, want := range sent {
		got, fds, err := master.Recv()
		require.NoError(t, err)
		require.Empty(t, fds)
		require.Equal(t, want, got)
	}
	_, _, err = master.Recv()
	require.ErrorIs(t, err, ErrAgain)
}

func TestDescriptorsTravel(t *testing.T) {
	master, worker := pair(t)
	dir := t.TempDir()
	var files []*os.File
	var fds []int
	var paths []string
	for range MessageDescriptorsMax {
		f, err := os.CreateTemp(dir, "")
		require.NoError(t, err)
		files, fds, paths = append(files, f), append(fds, int(f.Fd())), append(paths, f.Name())
	}
	require.NoError(t, master.Send(Message{Kind: Reopen, Serial: 1, Paths: paths}, fds...))
	message, got, err := worker.Recv()
	require.NoError(t, err)
	require.Equal(t, paths, message.Paths)
	require.Len(t, got, len(fds))
	for i, fd := range got {
		name, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
		require.NoError(t, err)
		require.Equal(t, paths[i], name, "in their order")
		require.True(t, closedOnExec(t, fd))
		sys.Close(fd)
	}
	for _, f := range files {
		require.NoError(t, f.Close(), "the sender keeps its own")
	}
}

func TestTooMuchIsRefusedByTheSender(t *testing.T) {
	master, worker := pair(t)
	fds := make([]int, MessageDescriptorsMax+1)
	require.ErrorContains(t, master.Send(Message{Kind: Reopen}, fds...), "65 descriptors, at most 64 fit")
	require.ErrorContains(t, master.Send(Message{Kind: Failed, Text: strings.Repeat("x", MessageBytesMax)}), "at most 65536 fit")
	_, _, err := worker.Recv()
	require.ErrorIs(t, err, ErrAgain, "nothing was sent")
}

func TestBrokenMessagesLeaveNoDescriptorAndNoDamage(t *testing.T) {
	master, worker := pair(t)
	null, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer null.Close()
	_, _, err = worker.Recv() // makes its buffer
	require.ErrorIs(t, err, ErrAgain)
	before := openCount(t)
	for _, c := range []struct {
		text string
		want string
	}{
		{`{"kind":`, "unexpected end of JSON input"},
		{`{"kind":"reopen","paths":[]}`, "0 paths with 1 descriptors"},
		{strings.Repeat(" ", MessageBytesMax+1), "message too long"},
	} {
		require.Zero(t, sys.SendRights(master.FD(), []byte(c.text), []int{int(null.Fd())}))
		_, _, err := worker.Recv()
		require.ErrorContains(t, err, c.want)
		require.ErrorIs(t, err, ErrDropped)
	}
	require.Equal(t, before, openCount(t))
	require.NoError(t, master.Send(Message{Kind: Drain}))
	message, _, err := worker.Recv()
	require.NoError(t, err)
	require.Equal(t, Drain, message.Kind)
}

func TestTheEndComesAfterTheLastWords(t *testing.T) {
	master, worker := pair(t)
	require.NoError(t, master.Send(Message{Kind: Drain})) // never read: the kernel reports a reset first
	require.NoError(t, worker.Send(Message{Kind: Failed, Text: "why"}))
	worker.Close()
	message, _, err := master.Recv()
	require.NoError(t, err)
	require.Equal(t, "why", message.Text)
	for range 2 {
		_, _, err = master.Recv()
		require.ErrorIs(t, err, io.EOF)
	}
	require.ErrorIs(t, master.Send(Message{Kind: Stop}), io.EOF)
}

func TestAFullQueueIsAVerdict(t *testing.T) {
	master, worker := pair(t)
	message := Message{Kind: Failed, Text: strings.Repeat("x", 50000)}
	sent := 0
	for ; sent < 1000; sent++ {
		if err := worker.Send(message); err != nil {
			require.ErrorIs(t, err, ErrAgain)
			break
		}
	}
	require.Positive(t, sent)
	require.Less(t, sent, 1000)
	_, _, err := master.Recv()
	require.NoError(t, err)
	require.NoError(t, worker.Send(message), "there is room again")
}

// closedOnExec reads the flag as the kernel shows it.
func closedOnExec(t *testing.T, fd int) bool {
	t.Helper()
	text, err := os.ReadFile("/proc/self/fdinfo/" + strconv.Itoa(fd))
	require.NoError(t, err)
	_, flags, _ := strings.Cut(string(text), "flags:\t")
	flags, _, _ = strings.Cut(flags, "\n")
	bits, err := strconv.ParseUint(flags, 8, 64)
	require.NoError(t, err)
	return bits&syscall.O_CLOEXEC != 0
}
