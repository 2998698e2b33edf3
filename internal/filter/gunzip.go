// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package filter

import (
	"bufio"
	"errors"
	"io"
	"iter"

	"github.com/klauspost/compress/gzip"
)

// GunzipBytes is the memory of what unpacks at most: a test measures it.
const GunzipBytes = 128 << 10

// gunzipper unpacks gzip. The library's reader takes its input when it likes; here input is there, or not yet. So the reader runs in a coroutine, which stops where it needs more
// input or has made enough. All of it happens on the thread, within Filter.
type gunzipper struct {
	resume func() (stop, bool) // has the coroutine go on to its next stop; nil: it has not been made
	yield  func(stop) bool
	within bool // it stopped in the middle of a body

	dst, src []byte
	used     int   // of src
	last     bool  // nothing comes behind src
	given    bool  // the body is given up: end it
	err      error // why it cannot be unpacked

	next *gunzipper
}

// stop is why the coroutine has stopped.
type stop uint8

const (
	stopHungry stop = iota // it has taken all input
	stopFull               // it has made a piece
	stopEnd                // the body has ended, well or not
)

// unpackBytes is how much is unpacked at a time.
const unpackBytes = 8 << 10

var errGiven = errors.New("given up") // read-only

// Gunzip adds the stage that unpacks. False: all are in use.
func (e *Encoder) Gunzip() bool {
	p := e.pool
	z := p.gunzippers
	switch {
	case z != nil:
		p.gunzippers, z.next = z.next, nil
	case p.gunzipMade < p.limits.Gunzip:
		p.gunzipMade++
		z = &gunzipper{}
	default:
		p.Refused++
		return false
	}
	z.err = nil
	z.given = z.within
	e.gunzip = z
	e.add(z)
	return true
}

// Filter unpacks. See Stage.
func (z *gunzipper) Filter(dst, src []byte, _, last bool) (out []byte, n int, more bool) {
	if z.resume == nil {
		z.resume, _ = iter.Pull(z.run)
	}
	if z.given { // the body before this one was not read to its end
		z.goOn()
		z.given, z.err = false, nil
	}
	if z.err != nil {
		return dst, len(src), false
	}
	z.dst, z.src, z.used, z.last = dst, src, 0, last
	at := z.goOn()
	out, n = z.dst, z.used
	z.dst, z.src, z.used = nil, nil, 0
	if z.err != nil {
		n = len(src)
	}
	return out, n, at == stopFull
}

func (z *gunzipper) goOn() stop {
	at, _ := z.resume()
	z.within = at != stopEnd
	return at
}

// run is the coroutine: it unpacks one body after the other.
func (z *gunzipper) run(yield func(stop) bool) {
	z.yield = yield
	input := bufio.NewReaderSize(z, unpackBytes)
	piece := make([]byte, unpackBytes)
	var reader gzip.Reader
	for {
		input.Reset(z)
		err := reader.Reset(input)
		for err == nil && !z.given {
			var n int
			n, err = reader.Read(piece)
			z.dst = append(z.dst, piece[:n]...) // not read into it: it may stop in between, and go on with another dst
			if err == nil && len(z.dst) >= pieceBytes {
				yield(stopFull)
			}
		}
		if err != io.EOF || z.used < len(z.src) {
			z.err = err
		}
		yield(stopEnd)
	}
}

// Read gives the reader its input. It is for the coroutine.
func (z *gunzipper) Read(b []byte) (int, error) {
	for z.used == len(z.src) || z.given {
		switch {
		case z.given:
			return 0, errGiven
		case z.last:
			return 0, io.EOF
		}
		z.yield(stopHungry)
	}
	n := copy(b, z.src[z.used:])
	z.used += n
	return n, nil
}
