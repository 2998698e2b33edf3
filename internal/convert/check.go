// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package convert

import (
	"strconv"
	"strings"

	"weir/conf"
	"weir/internal/convert/wire"
)

// check has the values checked as weir will. by are the directives of their lines. Faults are refusals of the directives they come from. When they are to be left out, it notes them
// for another conversion, and returns true.
func (c *converter) check(packed []byte, by []*directive, name string) (again bool) {
	_, _, err := conf.Load(conf.Source{Name: name, Packed: packed})
	faults, _ := err.(conf.Faults)
	for _, f := range faults {
		if f.Line == 0 {
			c.notes = append(c.notes, wire.Note{Kind: wire.Refused, File: name, Text: strings.TrimPrefix(f.String(), name+": ")})
			continue
		}
		d := by[f.Line-1]
		if _, ok := c.left[d]; !ok && c.options.Lenient {
			c.left[d] = f.Text
			again = true
			continue
		}
		if c.options.Lenient || !c.lacking[d] { // else the fault may be that what was refused is not there
			c.note(wire.Refused, d, "%s", f.Text)
		}
	}
	return again
}

// headBuffers are the directives whose buffers have to fit into one of weir's blocks.
var headBuffers = map[string]bool{"proxy_buffer_size": true, "client_header_buffer_size": true, "large_client_header_buffers": true}

// needBlock notes the size of a buffer that has to fit into one block.
func (c *converter) needBlock(d *directive, size int64) {
	if headBuffers[d.name] && size > c.block {
		c.block, c.blockOf = size, d
	}
}

// Bounds of buffers.size.
const (
	defaultBlock = 16 << 10
	maxBlock     = 1 << 20
)

// fitBlocks makes weir's blocks as large as the largest buffer for a head, which nginx has as large as anyone likes.
func (c *converter) fitBlocks() {
	if c.block <= defaultBlock || c.block > maxBlock {
		return
	}
	size := int64(defaultBlock)
	for size < c.block {
		size *= 2
	}
	text := strconv.FormatInt(size>>10, 10) + "k"
	c.inBuffers(c.blockOf).set("size", item{by: c.blockOf, value: text})
	c.note(wire.Different, c.blockOf, "all of a worker's blocks are made %q large for it (buffers.size)", text)
}

// inBuffers is the table [buffers].
func (c *converter) inBuffers(by *directive) *block {
	if c.buffers == nil {
		c.buffers = newBlock("buffers", by)
		c.root.blocks = append([]*block{c.buffers}, c.root.blocks...)
	}
	return c.buffers
}
