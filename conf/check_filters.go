// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

// checkFilters checks what is changed in answers, and what is added to them.
func (k *checker) checkFilters(p *path, s *FilterSettings) {
	k.checkAdded(p.key("add_trailer"), s.AddTrailer)
}

// checkAdded checks fields that are added to answers.
func (k *checker) checkAdded(at *path, list []AddHeader) {
	if k.written(at) {
		for i, h := range list {
			k.checkHeader(k.entry(at, h.Name, i), h.Name, h.Value)
		}
	}
}
