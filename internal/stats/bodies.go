// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package stats

// BodiesPage is how a worker's bodies went, since it started: of 8 bytes each, 256 in all. Written as PoolPage is.
type BodiesPage struct {
	Spliced      Counter // 0: bodies that went through kernel pipes, in part at least
	SplicedBytes Counter // 8: that did so
	SpilledBytes Counter // 16: written to temporary files
	SpillRefused Counter // 24: how often the instance's quota was reached
	SpillBounded Counter // 32: how often the bound of one file was
	SpillFailed  Counter // 40: how often writing one failed
	PeekedBytes  Counter // 48: relayed without a block, because memory was short
	_            Counter
	NotSpliced   [MaxNoSplice]Counter // 64: bodies that were not spliced, by reason
	_            [8]Counter
}

// MaxNoSplice is how many reasons there can be for which a body is not spliced.
const MaxNoSplice = 16

// NoSpliceReasons are those there are, in the order of BodiesPage.NotSpliced: eventpipe.NoSplice.
func NoSpliceReasons() []string {
	return []string{"off", "chunked", "unbuffered", "rate", "short", "talk", "kept", "pipes", "refused"}
}
