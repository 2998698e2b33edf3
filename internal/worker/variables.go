// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package worker

import (
	"fmt"

	"weir/internal/request"
	"weir/internal/vars"
)

// defined are the variables that the config defines, by their numbers.
func defined(names *vars.Names) []request.Defined {
	all := make([]request.Defined, names.Len())
	for i := range all {
		all[i].Name = names.Name(vars.ID(vars.NumIDs + i))
	}
	return all
}

// number is the number of a variable that the config defines.
func (b *builder) number(name string) int {
	id, ok := b.config.Variables.ID(name)
	if !ok {
		panic(fmt.Sprintf("worker: the config does not define $%s", name))
	}
	return int(id) - vars.NumIDs
}
