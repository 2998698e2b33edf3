// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"strconv"

	"weir/internal/stats"
	"weir/internal/vars"
)

// addWorker adds the variables of this worker, its clock, and the instance that it belongs to.
func (t *variables) addWorker() {
	t[vars.Hostname] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		return append(dst, r.engine.Hostname...), true
	}
	t[vars.PID] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		return strconv.AppendInt(dst, int64(r.engine.PID), 10), true
	}
	t[vars.NginxVersion] = func(_ *Request, dst []byte, _ string) ([]byte, bool) {
		return append(dst, vars.NginxRelease...), true
	}
	t[vars.WeirVersion] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		return append(dst, r.engine.Version...), true
	}
	t[vars.Msec] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		return append(dst, r.engine.Clock.MsecText()...), true
	}
	t[vars.TimeLocal] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		return append(dst, r.engine.Clock.LogTime()...), true
	}
	t[vars.TimeISO8601] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		return append(dst, r.engine.Clock.ISO8601()...), true
	}
	for id, field := range map[vars.ID]stats.Field{
		vars.ConnectionsActive: stats.Active, vars.ConnectionsReading: stats.Reading,
		vars.ConnectionsWriting: stats.Writing, vars.ConnectionsWaiting: stats.Waiting,
	} {
		t[id] = func(r *Request, dst []byte, _ string) ([]byte, bool) { // a gauge of clients' connections, over all workers
			return strconv.AppendUint(dst, r.engine.Segment.Sum()[field], 10), true
		}
	}
}
