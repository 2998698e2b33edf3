// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package filter

import "weir/internal/offload"

// idleMax is how many encoders are kept that have no body.
const idleMax = 64

// Limits bound what a Pool makes.
type Limits struct {
	Gzip   int // compressors
	Gunzip int // what unpacks
}

// Pool has the encoders of a worker. It belongs to the loop.
type Pool struct {
	thread *offload.Thread
	limits Limits

	encoders *Encoder // idle
	idle     int      // of them
	inUse    int

	gzippers   *gzipper // idle
	gzipMade   int
	gunzippers *gunzipper // idle
	gunzipMade int

	// Refused counts the bodies for which there was nothing that compresses, or unpacks.
	Refused uint64
}

// NewPool makes a pool whose encoders have the thread do what takes long.
func NewPool(l Limits, t *offload.Thread) *Pool { return &Pool{thread: t, limits: l} }

// Acquire takes an encoder for a body, for the client. It needs at least one stage: they are added in the order in which the body passes them.
func (p *Pool) Acquire(c Client) *Encoder {
	e := p.encoders
	if e == nil {
		e = &Encoder{pool: p}
		e.steps[0].in = make([]byte, 0, roomBytes)
		e.job.Init(e)
	} else {
		p.encoders, e.next = e.next, nil
		p.idle--
	}
	p.inUse++
	e.client = c
	return e
}

// put takes an encoder back.
func (p *Pool) put(e *Encoder) {
	if e.gzip != nil {
		e.gzip.next, p.gzippers = p.gzippers, e.gzip
	}
	if e.gunzip != nil {
		e.gunzip.next, p.gunzippers = p.gunzippers, e.gunzip
	}
	e.gzip, e.gunzip, e.sub, e.recode = nil, nil, replacing{seen: e.sub.seen}, recoding{}
	for i := range e.steps {
		s := &e.steps[i]
		*s = step{in: s.in[:0]}
	}
	e.n, e.added, e.more, e.flush, e.end = 0, 0, false, false, false
	p.inUse--
	if p.idle < idleMax {
		e.next, p.encoders = p.encoders, e
		p.idle++
	}
}

// InUse is how many encoders have a body.
func (p *Pool) InUse() int { return p.inUse }
