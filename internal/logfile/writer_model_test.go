// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package logfile

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// disk is a file that takes what a script says: write by write all, or a number of bytes and then
// an error, or an error.
type disk struct {
	text   strings.Builder
	script func(size int) (n int, errno syscall.Errno)
}

func (d *disk) write(_ int, b []byte) (int, syscall.Errno) {
	n, errno := d.script(len(b))
	if errno != 0 {
		return 0, errno
	}
	d.text.Write(b[:n])
	return n, 0
}

// Whatever a file does: each line is in it once, whole and in order, or was dropped and counted; what
// else is in it are fragments, each on a line of its own. The buffer stays within its bounds.
func TestWriterModel(t *testing.T) {
	null := openLog(t, "/dev/null")
	rapid.Check(t, func(t *rapid.T) {
		d := &disk{}
		faulty := true
		d.script = func(size int) (int, syscall.Errno) {
			if !faulty {
				return size, 0
			}
			switch rapid.IntRange(0, 4).Draw(t, "write") {
			case 0:
				return 0, syscall.EAGAIN
			case 1:
				return 0, syscall.ENOSPC
			case 2:
				return rapid.IntRange(0, size).Draw(t, "short"), 0
			}
			return size, 0
		}
		w, err := NewWriter(Options{
			Path:        "model",
			FD:          null,
			BufferBytes: rapid.SampledFrom([]int{0, 1, 10, 50}).Draw(t, "buffer"),
			FlushMs:     rapid.SampledFrom([]int64{0, 30}).Draw(t, "flush"),
		})
		require.NoError(t, err)
		w.write = d.write
		w.piece = rapid.SampledFrom([]int{0, 12}).Draw(t, "piece")

		var lines []string
		now := int64(0)
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			switch rapid.IntRange(0, 4).Draw(t, "step") {
			case 0:
				now += int64(rapid.IntRange(1, 2000).Draw(t, "ms"))
				w.Tick(now)
			case 1:
				w.Flush()
			default:
				size := rapid.SampledFrom([]int{0, 3, 20, 60, slackBytes - 10, slackBytes + 70}).Draw(t, "size")
				line := fmt.Sprintf("<%d%s>", len(lines), strings.Repeat(".", size))
				lines = append(lines, line)
				commit(w, line)
			}
			require.LessOrEqual(t, len(w.buf), w.limit+1)
			require.GreaterOrEqual(t, cap(w.Begin()), slackBytes-1)
			if w.NextMs() < 0 && len(w.buf) > 0 {
				require.Zero(t, w.flushMs, "something waits and nothing will write it")
			}
		}
		faulty = false
		w.Close()

		require.True(t, d.text.Len() == 0 || strings.HasSuffix(d.text.String(), "\n"))
		next, missing := 0, 0
		for line := range strings.Lines(d.text.String()) {
			line = strings.TrimSuffix(line, "\n")
			if !strings.HasSuffix(line, ">") { // a fragment: the start of the line that is to come, or was dropped
				require.True(t, anyStartsWith(lines[next:], line), "%q is no fragment", line)
				continue
			}
			for next < len(lines) && lines[next] != line {
				next++
				missing++
			}
			require.Less(t, next, len(lines), "%q was not committed, or came twice", line)
			next++
		}
		missing += len(lines) - next
		require.EqualValues(t, missing, w.Dropped())
	})
}

func anyStartsWith(lines []string, start string) bool {
	for _, line := range lines {
		if strings.HasPrefix(line, start) {
			return true
		}
	}
	return false
}
