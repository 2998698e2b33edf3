// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package lookup

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Split is a table of nginx's split_clients.
type Split struct {
	ends []uint32 // of the parts: hashes below belong to the part; 0: all that are left
}

// NewSplit makes a table of parts such as "0.5%", the last of which may be "*", whose values are numbered in their order.
func NewSplit(parts []string) (*Split, error) {
	s := &Split{}
	sum, last := uint64(0), uint64(0)
	for i, text := range parts {
		if text == "*" {
			if i != len(parts)-1 {
				return nil, errors.New(`"*" has to be the last part`)
			}
			s.ends = append(s.ends, 0)
			continue
		}
		n, err := parsePercent(text)
		if err != nil {
			return nil, err
		}
		if sum += n; sum > 10000 {
			return nil, errors.New("the parts are more than 100%")
		}
		last += n * math.MaxUint32 / 10000
		s.ends = append(s.ends, uint32(last))
	}
	return s, nil
}

// parsePercent reads "12.34%" as hundredths of a percent.
func parsePercent(text string) (uint64, error) {
	number, ok := strings.CutSuffix(text, "%")
	whole, part, _ := strings.Cut(number, ".")
	n, err := strconv.ParseUint(whole+(part + "00")[:2], 10, 16)
	if !ok || err != nil || len(part) > 2 || whole == "" || n == 0 {
		return 0, fmt.Errorf("invalid percent value %q", text)
	}
	return n, nil
}

// Find returns the number of the value for key, or Default.
func (s *Split) Find(key []byte) int {
	hash := murmur2(key)
	for i, end := range s.ends {
		if hash < end || end == 0 {
			return i
		}
	}
	return Default
}

// murmur2 is Austin Appleby's MurmurHash2 with the seed that nginx has, the length.
func murmur2(data []byte) uint32 {
	const m = 0x5bd1e995
	h := uint32(len(data))
	for ; len(data) >= 4; data = data[4:] {
		k := binary.LittleEndian.Uint32(data) * m
		k = (k ^ k>>24) * m
		h = h*m ^ k
	}
	switch len(data) {
	case 3:
		h ^= uint32(data[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(data[1]) << 8
		fallthrough
	case 1:
		h = (h ^ uint32(data[0])) * m
	}
	h = (h ^ h>>13) * m
	return h ^ h>>15
}
