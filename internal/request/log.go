// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"go.uber.org/zap"

	"weir/internal/logfile"
	"weir/internal/vars"
)

// logFields are what every line of the error log says about a request.
func (r *Request) logFields() []zap.Field {
	fields := []zap.Field{
		zap.Uint64("connection", r.client.Serial),
		zap.ByteString("client", r.client.PeerText()),
		zap.String("server", r.server.Name),
	}
	if line, ok := r.appendRequestLine(nil); ok {
		fields = append(fields, zap.ByteString("request", line))
	}
	if host, ok := r.AppendVariable(nil, vars.HTTPField, "host"); ok && r.status != 400 {
		fields = append(fields, zap.ByteString("host", host))
	}
	return fields
}

// logInfo is about what the client did.
func (r *Request) logInfo(message string) {
	if r.engine.Log.Enabled(logfile.LevelInfo) {
		r.engine.Log.Info(message, r.logFields()...)
	}
}

// logShortage says that buffers.limit has stopped something that cannot wait for a block.
func (r *Request) logShortage() {
	r.engine.Log.Limited("buffers", logfile.LevelCrit, "no buffer is free (buffers.limit)", zap.Int("blocks", r.engine.Pool.Stats().Limit))
}

// logError is about what this process cannot do for the request.
func (r *Request) logError(message string, more ...zap.Field) {
	if r.engine.Log.Enabled(logfile.LevelError) {
		r.engine.Log.Error(message, append(r.logFields(), more...)...)
	}
}

// logOrigin is about what the origin of the present attempt did.
func (r *Request) logOrigin(message string, more ...zap.Field) {
	if !r.engine.Log.Enabled(logfile.LevelError) {
		return
	}
	fields := append(r.logFields(), more...)
	if r.up.peer != nil {
		fields = append(fields, zap.String("upstream", r.up.peer.Name))
	}
	r.engine.Log.Error(message, fields...)
}
