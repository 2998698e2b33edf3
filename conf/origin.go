// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

// Place is a line of a file.
type Place struct {
	File string // as faults name it; "" for none
	Line int    // from 1
}

// relocate names the places that the lines of a text come from, where the text was made from another configuration.
func (src Source) relocate(faults Faults) {
	for i := range faults {
		f := &faults[i]
		if f.File != src.Name || f.Line < 1 || f.Line > len(src.Lines) {
			continue
		}
		if from := src.Lines[f.Line-1]; from.File != "" {
			f.File, f.Line = from.File, from.Line
		}
	}
}
