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
		case errors.Is(err, ipc.ErrDropped):
			w.log.Error("a message of the master is lost", zap.Error(err))
			continue
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
	w.orphan = true
	(*worker)(w).drain((*worker)(w).handsOver(), w.giver.listeners)
	w.timers.Arm(&w.takersTimer, w.clock.Ms()+orphanMs)
}

// How often a worker looks whether what lies in the hand-over queue has been taken: without a master, and when that is all it waits for.
const (
	orphanMs = 500
	takenMs  = 20
)

// seekTakers looks whether the worker can leave. Without a master, it stops handing over connections when nobody takes them: those who did drain too
// without their master, and leave, and there is nobody to say so. What is in the queue at two looks, one after the other, is taken to lie there for good; this worker reads the queue again then.
func (w *worker) seekTakers() {
	if !w.handsOver() {
		return
	}
	if !w.orphan {
		w.engine.CheckEmpty()
		return
	}
	unread := w.untakenNow()
	if unread && w.untaken {
		w.log.Notice("nobody takes connections any more")
		w.drain(false, nil)
		return
	}
	w.untaken = unread
	w.timers.Arm(&w.takersTimer, w.clock.Ms()+orphanMs)
	w.engine.CheckEmpty()
}

// untakenNow says whether connections of workers that leave lie in the queue.
func (w *worker) untakenNow() bool { return sys.Unread(w.manifest.HandOverSend) > 0 }

// handsOver says whether the worker was told to hand over connections: that stays true without the master that told it.
func (w *worker) handsOver() bool { return w.taker.closed }

func (w *worker) obey(m ipc.Message, fds []int) {
	switch m.Kind {
	case ipc.Drain:
		w.drain(m.HandOver, m.Listeners)
	case ipc.Cut:
		w.cut()
	case ipc.Report:
		w.report(m.Serial)
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
	w.reopenNamed()
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

// report says what the worker holds.
func (w *worker) report(serial int) {
	list := w.engine.Holders()
	m := ipc.Message{Kind: ipc.Holding, Serial: serial}
	for i, h := range list {
		one := ipc.Holder(h)
		if i >= ipc.HoldersMax-1 && len(list) > ipc.HoldersMax {
			if last := len(m.Holders) - 1; i >= ipc.HoldersMax {
				m.Holders[last].Count += h.Count
				m.Holders[last].OldestMs = max(m.Holders[last].OldestMs, h.OldestMs)
				continue
			}
			one.What, one.Server, one.Location = "request", "(others)", ""
		}
		m.Holders = append(m.Holders, one)
	}
	w.send(m)
}

// watchSignals has signals arrive in the loop. As nginx's workers, it does nothing on those that are meant for a master only (HUP, USR2, WINCH), also
// when somebody sends them to all processes of that name.
func (w *worker) watchSignals() {
	w.calls.Signals(func(s os.Signal) {
		switch s {
		case syscall.SIGQUIT:
			w.drain(w.handsOver(), w.giver.listeners)
		case syscall.SIGTERM, syscall.SIGINT:
			w.over = true
		case syscall.SIGUSR1:
			w.send(ipc.Message{Kind: ipc.Rotate})
		default:
			w.log.Info("ignoring a signal", zap.String("signal", s.String()))
		}
	}, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGINT, syscall.SIGUSR1, syscall.SIGHUP, syscall.SIGUSR2, syscall.SIGWINCH)
}
