// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package buffer

import "weir/internal/invariant"

// Arena is the memory of one request (nginx's ngx_pool_t): pieces of bytes that are given back all at once. Small
// pieces are cut from chained chunks, pieces larger than a chunk are separate and can be freed singly. An arena
// without pieces holds no memory.
//
// Pieces hold bytes and never Go pointers: the garbage collector does not look into them. Init comes first.
type Arena struct {
	free     []byte // the rest of the chunk that is being cut; never nil, so that a piece of 0 bytes is none either
	chunks   *Block
	large    *large
	cleanups *cleanup
	pool     *Pool
	depot    *Depot
	open     bool // between Begin and End
	held     bool // there are chunks, large pieces or cleanups
}

// chunkClass is how urgent a chunk is: whoever asks has begun, and does without when there is none.
const chunkClass = ClassBody

// Init makes a an empty arena. Its chunks are blocks of pool, whose block size is nginx's request_pool_size or
// connection_pool_size; its large pieces are from d.
func (a *Arena) Init(pool *Pool, d *Depot) { *a = Arena{free: []byte{}, pool: pool, depot: d} }

// Alloc returns n bytes, whatever they contain, valid until Reset; nil if the limit of the pool or the depot is reached, or the
// kernel has no memory. ngx_pnalloc.
func (a *Arena) Alloc(n int) []byte {
	if invariant.Enabled && a.open {
		panic("buffer: Arena.Alloc between Begin and End")
	}
	if n <= len(a.free) {
		piece := a.free[:n:n]
		a.free = a.free[n:]
		return piece
	}
	return a.allocSlowly(n)
}

// Copy returns a copy of p; nil as Alloc. ngx_pstrdup.
func (a *Arena) Copy(p []byte) []byte {
	piece := a.Alloc(len(p))
	copy(piece, p)
	return piece
}

// allocSlowly is Alloc when the chunk has no n bytes left.
func (a *Arena) allocSlowly(n int) []byte {
	if n > a.pool.blockSize {
		return a.depot.allocLarge(a, n)
	}
	b := a.addChunk()
	if b == nil {
		return nil
	}
	// The larger of the two rests is cut further.
	if rest := b.Data[n:]; len(rest) > len(a.free) {
		a.free = rest
	}
	return b.Data[:n:n]
}

// addChunk chains one more chunk; nil as Alloc.
func (a *Arena) addChunk() *Block {
	b := a.pool.Acquire(chunkClass)
	if b != nil {
		b.Next = a.chunks
		a.chunks = b
		a.held = true
	}
	return b
}

// Begin returns an empty slice to append to, for a piece whose size is not known before: the capacity is at least n
// bytes, or a chunk if n is more, and usually larger. End makes a piece of what was appended. Between the two the
// arena gives no other piece.
func (a *Arena) Begin(n int) []byte {
	n = min(n, a.pool.blockSize)
	if n > len(a.free) {
		if b := a.addChunk(); b != nil {
			a.free = b.Data
		}
	}
	a.open = true
	return a.free[:0]
}

// End makes a piece of p, which is what Begin returned, appended to. If p has outgrown the room (append has then
// moved it to the Go heap) it is copied into a piece of its own; nil as Alloc.
func (a *Arena) End(p []byte) []byte {
	a.open = false
	n := len(p)
	if n > 0 && n <= len(a.free) && &p[0] == &a.free[0] {
		a.free = a.free[n:]
		return p[:n:n]
	}
	return a.Copy(p)
}

// Free gives a large piece back before the end, and reports whether p is one: a slice that starts where the piece
// starts. Small pieces are left alone. ngx_pfree.
func (a *Arena) Free(p []byte) bool {
	if cap(p) == 0 {
		return false
	}
	first := &p[:1][0]
	for l := a.large; l != nil; l = l.next {
		if &l.mem[0] == first {
			a.unlinkLarge(l)
			a.depot.freeLarge(l)
			a.held = a.chunks != nil || a.large != nil || a.cleanups != nil
			return true
		}
	}
	return false
}

// unlinkLarge takes l out of the arena's list.
func (a *Arena) unlinkLarge(l *large) {
	if l.prev == nil {
		a.large = l.next
	} else {
		l.prev.next = l.next
	}
	if l.next != nil {
		l.next.prev = l.prev
	}
}

// cleanup is something to do at the end.
type cleanup struct {
	run  func(arg any)
	arg  any
	next *cleanup
}

// AddCleanup has run(arg) called by Reset, before any memory is given back; what was added last comes first. To
// allocate nothing, arg is a pointer and run is no closure. ngx_pool_cleanup_add.
func (a *Arena) AddCleanup(run func(arg any), arg any) {
	c := a.depot.newCleanup()
	c.run, c.arg, c.next = run, arg, a.cleanups
	a.cleanups = c
	a.held = true
}

// Reset runs the cleanups and gives everything back; the arena can be used again. ngx_destroy_pool, ngx_reset_pool.
func (a *Arena) Reset() {
	for a.cleanups != nil { // a cleanup may add another
		c := a.cleanups
		a.cleanups = c.next
		run, arg := c.run, c.arg
		a.depot.freeCleanup(c)
		run(arg)
	}
	for a.large != nil {
		l := a.large
		a.large = l.next
		a.depot.freeLarge(l)
	}
	a.pool.ReleaseChain(a.chunks)
	a.chunks, a.free, a.open, a.held = nil, []byte{}, false, false
}

// Empty reports whether the arena holds nothing since Init or the last Reset, so that Reset would do nothing.
func (a *Arena) Empty() bool { return !a.held }
