// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package vars

import "strings"

// suggest returns the known name nearest to name, or "" if none is near: within one edit for short
// names, within a third of the length for longer ones.
func (n *Names) suggest(name string) string {
	best, bestDistance := "", 1+max(1, len(name)/3)
	consider := func(candidate string, distance int) {
		if distance < bestDistance {
			best, bestDistance = candidate, distance
		}
	}
	for i := range catalogue {
		consider(catalogue[i].Name, EditDistance(name, catalogue[i].Name))
	}
	for i := range n.Len() {
		consider(n.list[i], EditDistance(name, strings.ToLower(n.list[i])))
	}
	// For a family compare the prefix only, cut at each "_" of the name.
	for i := range families {
		for cut := range len(name) - 1 {
			if name[cut] == '_' {
				head, rest := name[:cut+1], name[cut+1:]
				if d := EditDistance(head, families[i].Name); d <= len(head)/3 {
					consider(families[i].Name+rest, d)
				}
			}
		}
	}
	return best
}

// EditDistance is the least number of insertions, deletions, replacements and swaps of neighbours
// that turn a into b (Damerau-Levenshtein, optimal string alignment).
func EditDistance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := last[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			row[j] = min(change, last[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
