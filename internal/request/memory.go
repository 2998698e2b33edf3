// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"go.uber.org/zap"

	"weir/internal/http1"
	"weir/internal/logfile"
)

// A Request's memory besides blocks: two arenas, empty unless something asks for a piece, and the tables of header fields.

// fieldsKept is how many header fields a Request object keeps room for between requests; the room for more is the Go heap's again.
const fieldsKept = 64

// crowdedMax bounds the requests in flight with a head of more fields than that: their tables are the only memory of a request that grows with
// what others send and is in no pool.
func (e *Engine) crowdedMax() int { return CrowdedMax(e.Table.Size()) }

// CrowdedMax is how many requests may have heads of more than 64 fields at one time, in a worker with so many connections.
func CrowdedMax(connections int) int { return max(64, connections/16) }

// openArenas readies the arenas, which are empty, for clients of a listening address. As nginx does, it goes by the default server of the
// address: which one is asked is not known yet.
func (r *Request) openArenas(s *Server) {
	r.arena.Init(s.RequestPool, r.engine.Depot)
	r.useArena.Init(s.ConnectionPool, r.engine.Depot)
}

// closeArena gives back the memory of one request, and runs its cleanups.
func (r *Request) closeArena() {
	r.arena.Reset()
	r.path, r.args, r.host, r.up.text, r.up.former, r.authenticate = nil, nil, nil, nil, nil, nil
	r.answerPage.reset()
	if r.target.text != nil {
		r.target = target{}
	}
	r.accel, r.trailer, r.sentHead, r.sentTrailer = accel{}, nil, nil, nil
}

// closeUse gives back the memory of one use.
func (r *Request) closeUse() {
	r.closeArena()
	r.useArena.Reset()
	if r.crowded {
		r.disperse()
	}
}

// disperse gives up the room for more header fields than are kept.
func (r *Request) disperse() {
	r.crowded = false
	r.engine.crowded--
	r.head.Shrink(fieldsKept)
	r.up.head.Shrink(fieldsKept)
}

// fewFields says that a head's table of fields is not larger than what is kept, or that the request may have a larger one: see join.
func (r *Request) fewFields(h *http1.Head) bool { return cap(h.Fields) <= fieldsKept || r.join() }

// join counts the request among those with many header fields. False: there are too many of them.
func (r *Request) join() bool {
	if r.crowded {
		return true
	}
	r.crowded = true
	if r.engine.crowded++; r.engine.crowded <= r.engine.crowdedMax() {
		return true
	}
	r.engine.Log.Limited("crowded heads", logfile.LevelCrit, "too many heads with many fields at once",
		zap.Int("fields", fieldsKept), zap.Int("most", r.engine.crowdedMax()))
	return false
}
