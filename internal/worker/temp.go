// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package worker

import (
	"go.uber.org/zap"

	"weir/internal/quota"
	"weir/internal/tempfile"
)

// openTemp makes the store of temporary files from what the manifest has for it. Without, there is none, and bodies wait in memory.
func (w *worker) openTemp() error {
	m := w.manifest
	if m.Temp == 0 {
		return nil
	}
	budget, err := quota.Attach(m.Quota, w.owner, m.Slot)
	if err != nil {
		return err
	}
	w.quota = budget
	w.temp = tempfile.NewStore(tempfile.Options{Dir: m.Temp, Slot: m.Slot, Quota: budget, Thread: w.calls.NewThread(), Log: w.log})
	return nil
}

// tryTemp finds out at the start, with the rights that the worker has from now on, whether files can be made: better a line in the log now than with
// the first body that needs one.
func (w *worker) tryTemp() error {
	if w.temp == nil {
		return nil
	}
	if err := w.temp.Try(); err != nil {
		w.log.Warn("temp_path does not take files: bodies wait in memory", zap.String("temp_path", w.config.Buffers.TempPath), zap.Error(err))
	}
	return nil
}
