// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"testing"

	"github.com/stretchr/testify/require"

	"weir/internal/buffer"
	"weir/internal/files"
	"weir/internal/offload"
	"weir/internal/static"
	"weir/internal/sys"
)

// held is a job that takes as long as a test wants.
type held struct {
	offload.Job
	release chan struct{}
	told    bool
}

func (j *held) Work()     { <-j.release }
func (j *held) OnWorked() { j.told = true }

// TestCutForgetsAFolder: the list of a folder that comes when the request has been cut is nobody's answer any more.
func TestCutForgetsAFolder(t *testing.T) {
	h := newHarness(t, harnessOptions{Location: func(l *Location) {
		l.Proxy, l.Types = nil, new(static.Types)
		l.Files = &Files{Root: Folder{Text: t.TempDir()}, Autoindex: &static.Listing{}}
	}})
	h.calls.Bind(h.loop)
	thread := h.calls.NewThread()
	defer thread.End()
	h.engine.Lister = files.NewLister(thread)
	busy := &held{release: make(chan struct{})}
	busy.Init(busy)
	thread.Do(&busy.Job)

	client := h.pairClient()
	defer sys.Close(client)
	sys.Write(client, []byte("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"))
	h.poll()
	r := h.engine.relief.all[0]
	require.Equal(t, StateList, r.state)

	var taken []*buffer.Block // all there are: the answer has to wait for one
	for b := h.pool.Acquire(buffer.ClassResponse); b != nil; b = h.pool.Acquire(buffer.ClassResponse) {
		taken = append(taken, b)
	}
	r.cut()
	require.Equal(t, StateAnswer, r.state)
	close(busy.release)
	last := &held{release: busy.release}
	last.Init(last)
	thread.Do(&last.Job)
	for !last.told {
		h.turn()
	}
	require.Equal(t, 503, r.status)
	for _, b := range taken {
		h.pool.Release(b)
	}
	var answer [4096]byte
	n := h.read(client, answer[:])
	require.Contains(t, string(answer[:n]), "HTTP/1.1 503 ")
	for h.engine.InFlight() > 0 {
		h.poll()
	}
	h.settled()
}

// TestResetForgetsAFileTest: what was found out about a file for one request is not the answer to the next one's question.
func TestResetForgetsAFileTest(t *testing.T) {
	p := program{file: &fileTest{done: true, holds: true}}
	p.reset()
	require.False(t, p.file.done)
	away := &fileTest{request: new(Request), away: true}
	p = program{file: away}
	p.reset()
	require.Nil(t, p.file)
	require.Nil(t, away.request)
}
