// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package main

import (
	"cmp"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"slices"
)

// profileRows is how many functions a profile names.
const profileRows = 60

// function is one of the executable's, and what was executed in it.
type function struct {
	name         string
	start, end   uint64
	instructions int64
}

// printProfile says in which functions of its own executable a process spent its single-stepped instructions, per request.
func printProfile(w io.Writer, pid int, profile map[uint64]int64, perRequest float64) error {
	functions, err := functionsOf(fmt.Sprintf("/proc/%d/exe", pid))
	if errors.Is(err, elf.ErrNoSymbols) {
		_, err = fmt.Fprintln(w, "    no symbols in the executable")
		return err
	}
	if err != nil {
		return err
	}
	writeProfile(w, functions, profile, perRequest)
	return nil
}

// writeProfile writes one row a function, the dearest first. functions are in the order of their addresses; what belongs to none of
// them (a shared library, the vDSO) is one row.
func writeProfile(w io.Writer, functions []function, profile map[uint64]int64, perRequest float64) {
	var all, elsewhere int64
	for address, n := range profile {
		all += n
		i, found := slices.BinarySearchFunc(functions, address, func(f function, a uint64) int {
			switch {
			case a < f.start:
				return 1
			case a >= f.end:
				return -1
			}
			return 0
		})
		if found {
			functions[i].instructions += n
		} else {
			elsewhere += n
		}
	}
	functions = append(functions, function{name: "(not in the executable's symbols)", instructions: elsewhere})
	slices.SortStableFunc(functions, func(a, b function) int { return cmp.Compare(b.instructions, a.instructions) })
	for _, f := range functions[:min(len(functions), profileRows)] {
		if f.instructions > 0 {
			share := float64(f.instructions) / float64(all)
			fmt.Fprintf(w, "    %8.0f  %5.1f %%  %s\n", share*perRequest, 100*share, f.name)
		}
	}
}

// functionsOf reads an executable's symbols, in the order of their addresses.
func functionsOf(path string) ([]function, error) {
	file, err := elf.Open(path)
	if err != nil {
		return nil, fmt.Errorf("elf.Open(%s): %w", path, err)
	}
	defer file.Close()
	symbols, err := file.Symbols()
	if err != nil {
		return nil, fmt.Errorf("symbols(%s): %w", path, err)
	}
	var functions []function
	for _, s := range symbols {
		if elf.ST_TYPE(s.Info) == elf.STT_FUNC && s.Size > 0 {
			functions = append(functions, function{name: s.Name, start: s.Value, end: s.Value + s.Size})
		}
	}
	slices.SortFunc(functions, func(a, b function) int { return cmp.Compare(a.start, b.start) })
	return functions, nil
}
