// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package eventpipe

import "weir/internal/conn"

const (
	// spliceMin is what has to be left of a body to splice it: BenchmarkSplice, both ends of both connections included, gave 18 us of processor
	// time for 64 KiB read into blocks and 17 us spliced, 34 and 26 us for 128 KiB, 250 and 193 us for 1 MiB; below 64 KiB the difference is
	// within the noise, and a kernel pipe is one that others cannot have.
	spliceMin = 64 << 10
	// spliceBulk is how much one splice has to move for a body of unknown length to be spliced on: less comes from somebody who talks,
	// and is read with fewer calls.
	spliceBulk = 16 << 10
)

// NoSplice is why a body was not spliced.
type NoSplice uint8

// The reasons.
const (
	NoSpliceOff        NoSplice = iota // switched off
	NoSpliceChunked                    // the source sends chunks, or the sink gets them
	NoSpliceUnbuffered                 // it is sent as it comes
	NoSpliceRate                       // it has a rate
	NoSpliceShort                      // too little was left of it
	NoSpliceTalk                       // it has no length, and came in small pieces
	NoSpliceKept                       // it may have to be sent again
	NoSplicePipes                      // there was no kernel pipe, or none of a useful size
	NoSpliceRefused                    // the kernel does not splice such sockets
	NumNoSplice
)

// String names the reason.
func (n NoSplice) String() string {
	return [...]string{"off", "chunked", "unbuffered", "rate", "short", "talk", "kept", "pipes", "refused"}[n]
}

// spliceState is what has been found out about a body.
type spliceState uint8

const (
	spliceUnknown spliceState = iota
	spliceNever
	spliceAble  // it can be, once enough comes
	spliceBegun // it has been
)

// maySplice says whether the next bytes can go through a kernel pipe: nothing else is on the way.
func (p *Pipe) maySplice() bool {
	if p.Keep || p.filling || p.busy.first != nil || p.in.first != nil || p.out.first != nil || p.freeRaw != nil {
		return false
	}
	if p.splice == spliceUnknown {
		p.decideSplice()
	}
	switch {
	case p.splice == spliceNever:
		return false
	case p.sinkMeter.on() || p.sourceMeter.on():
		if p.kernel != nil {
			return false // what is in it goes out first
		}
		p.neverSplice(NoSpliceRate)
		return false
	case p.Framing == Length:
		return p.splice == spliceBegun || p.left >= p.shared.splicer.least
	}
	return p.kernel != nil || p.reach >= vectorMax/2
}

// decideSplice looks at what does not change.
func (p *Pipe) decideSplice() {
	p.splice = spliceAble
	switch {
	case p.shared.splicer == nil:
		p.neverSplice(NoSpliceOff)
	case p.Framing == Chunked || p.Chunk || p.Encoder != nil:
		p.neverSplice(NoSpliceChunked)
	case p.Unbuffered, p.Watch != nil, p.Skip > 0:
		p.neverSplice(NoSpliceUnbuffered)
	case p.sinkMeter.on() || p.sourceMeter.on():
		p.neverSplice(NoSpliceRate)
	case p.Framing == Length && p.left < p.shared.splicer.least:
		p.neverSplice(NoSpliceShort)
	}
}

func (p *Pipe) neverSplice(why NoSplice) {
	if p.splice != spliceBegun {
		p.shared.Stats.NotSpliced[why]++
	}
	p.splice = spliceNever
}

// spliceIn moves bytes from the source into the kernel pipe. When that is full and the sink takes nothing, reading goes on into blocks, and
// from there into the temporary file: they come behind what the kernel pipe holds.
func (p *Pipe) spliceIn() Outcome {
	k := p.kernel
	if k == nil {
		if k = p.shared.splicer.acquire(); k == nil {
			p.neverSplice(NoSplicePipes)
			return Yield
		}
		p.kernel = k
	}
	n := k.size - k.held
	if p.Framing == Length {
		n = int(min(int64(n), p.left))
	}
	if n == 0 {
		return p.pastKernelPipe()
	}
	got, st := p.Source.SpliceIn(k.w, n, k.held > 0)
	switch st {
	case conn.OK:
		if p.splice != spliceBegun {
			p.splice = spliceBegun
			p.shared.Stats.SplicedBodies++
		}
		if got < spliceBulk {
			p.reach = 1
		}
		k.held += got
		p.passed(got)
		p.shared.Stats.SplicedBytes += uint64(got)
		return Yield
	case conn.Refused:
		p.neverSplice(NoSpliceRefused)
		return Yield
	case conn.Again:
		if k.held > 0 {
			return p.pastKernelPipe()
		}
	}
	return p.sourceEnd(st)
}

// pastKernelPipe is what to do when the kernel pipe takes no more, or the source has no more: splice(2) does not say which.
func (p *Pipe) pastKernelPipe() Outcome {
	if p.Sink.Writable() || !p.sinkIsSlow() {
		return Wait
	}
	if p.Full() {
		return p.makeRoom()
	}
	return p.readBlocks(int64(p.shared.pool.BlockSize()) * int64(p.Blocks))
}

// spliceOut moves bytes from the kernel pipe to the sink.
func (p *Pipe) spliceOut() progress {
	k := p.kernel
	n, st := p.Sink.SpliceOut(k.r, k.held)
	switch st {
	case conn.OK:
		k.held -= n
		p.Wire += int64(n)
		return moved
	case conn.Again:
		return blocked
	}
	return failed
}
