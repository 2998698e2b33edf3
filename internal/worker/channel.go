// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package worker

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"go.uber.org/zap"

	"weir/internal/ipc"
	"weir/internal/sys"
)

// send tells the master something. A master that is gone is noticed where messages are received.
func (w *worker) send(m ipc.Message) {
	if err := w.channel.Send(m); err != nil && !errors.Is(err, io.EOF) {
		w.log.Error("message to the master failed", zap.String("message", string(m.Kind)), zap.Error(err))
	}
}

// fail tells the master why the worker cannot start.
func (w *worker) fail(err error) {
	if w.channel != nil && w.channel.Send(ipc.Message{Kind: ipc.Failed, Text: err.Error()}) == nil {
		return
	}
	fmt.Fprintf(os.Stderr, "weir-worker: %v\n", err)
}

// masterEnd is the channel in the loop.
type masterEnd worker

// Mark does nothing: messages are read until there is none. See event.Handler.
func (w *masterEnd) Mark(uint32) {}

// Run reads messages. See event.Handler.
func (w *masterEnd) Run() {
	for !w.over {
		m, fds, err := w.channel.Recv()
		switch {
		case errors.Is(err, ipc.ErrAgain):
			return
		case err != nil:
			w.masterGone(err)
			return
		}
		(*worker)(w).obey(m, fds)
	}
}

// masterGone drains: nobody would notice if this worker died, and a new master needs its ports.
func (w *masterEnd) masterGone(err error) {
	w.loop.Forget(w.channel.FD())
	w.log.Notice("the master is gone, draining", zap.Error(err))
	(*worker)(w).drain()
}

func (w *worker) obey(m ipc.Message, fds []int) {
	switch m.Kind {
	case ipc.Drain:
		w.drain()
	case ipc.Stop:
		w.over = true
	case ipc.Forget:
		w.forget(m.Serial)
	case ipc.Reopen:
		w.reopen(m, fds)
	default:
		w.log.Error("unknown message from the master", zap.String("message", string(m.Kind)))
		for _, fd := range fds {
			sys.Close(fd)
		}
	}
}

// reopen has the logs go on in the files that the master has opened anew. The new file takes the old one's descriptor
// number, after what was buffered has gone to the old one.
func (w *worker) reopen(m ipc.Message, fds []int) {
	w.logs.Flush()
	for i, path := range m.Paths {
		if old, ok := w.manifest.Log(path); ok {
			if err := sys.Dup3(fds[i], old); err != nil {
				w.log.Error("reopening a log failed", zap.String("path", path), zap.Error(err))
			}
		}
		sys.Close(fds[i])
	}
	w.send(ipc.Message{Kind: ipc.Reopened, Serial: m.Serial})
}

// watchSignals has signals arrive in the loop.
func (w *worker) watchSignals() {
	w.calls.Signals(func(s os.Signal) {
		switch s {
		case syscall.SIGQUIT:
			w.drain()
		case syscall.SIGTERM, syscall.SIGINT:
			w.over = true
		case syscall.SIGUSR1:
			w.send(ipc.Message{Kind: ipc.Rotate})
		}
	}, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGINT, syscall.SIGUSR1)
}
