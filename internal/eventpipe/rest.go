// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package eventpipe

import "weir/internal/buffer"

// A pipe rests while its sink takes nothing. What resting pipes hold stays theirs for as long as their sinks like, so it is bounded: they give
// their blocks up to the file while memory is short, and where that is full, they hold no more blocks in all than reading ahead may use, so
// that there is always a part for the heads of new requests and for short answers.

// rest is the outcome when nothing goes on. Memory that is short is not held by a pipe that rests.
func (p *Pipe) rest() Outcome {
	if p.blocks > 0 && p.SpillMax > 0 && p.shared.pool.Pressed() && p.stalled() {
		p.Relieve()
	}
	return Wait
}

// Relieve gives up blocks while memory is short: what waits for a sink that takes nothing goes to the temporary file, and may use the part
// of the quota that is kept for this. What has been rescued so is sent before anything more is read: the rescue of one pipe is not what
// lets it read on, and take the next. Call it outside of Pump and Fill.
func (p *Pipe) Relieve() {
	for p.spill(true) == spillDone {
	}
	if p.resting != 0 {
		p.countResting(p.holding())
	}
}

// mayReadAhead says whether the pipe may read now. While it has something to write, that is reading ahead, which a stalled sink gets none of
// while memory is short, and nor does a pipe that had to be rescued.
func (p *Pipe) mayReadAhead() bool {
	if p.filling || p.Empty() {
		return true
	}
	return !p.rescued && !(p.shared.pool.Pressed() && p.stalled())
}

// classOf is the urgency of the next block, when a read has n new ones. The first one is what a body needs to go on at all, unless pipes that
// rest hold too many: this one would perhaps join them.
func (p *Pipe) classOf(n int) buffer.Class {
	if p.blocks+n == 0 && (p.filling || p.Empty()) && p.shared.resting < p.shared.pool.AheadMax() {
		return p.Class
	}
	return buffer.ClassAhead
}

// short says that a body does better without a block: few are free, or resting pipes hold so many that the next one would be refused.
func (s *Shared) short() bool { return s.pool.Pressed() || s.resting >= s.pool.AheadMax() }

// Needs is the urgency with which the pipe asked for the block that it did not get, after NoBlock: wait with no higher one.
func (p *Pipe) Needs() buffer.Class { return p.needs }

// holding is the number of blocks that stay in use until the sink takes something, the one of FeedPinned included.
func (p *Pipe) holding() int {
	n := p.blocks
	if p.feeds != nil {
		if p.Holds(p.feeds) {
			n++
		} else {
			p.feeds = nil
		}
	}
	return n
}

// countResting notes that the pipe holds n blocks and rests; 0: it does not rest.
func (p *Pipe) countResting(n int) {
	p.shared.resting += n - p.resting
	p.resting = n
}
