// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package worker

import (
	"fmt"

	"weir/internal/request"
	"weir/internal/vars"
)

// define makes the variables that the config defines, by their numbers.
func (b *builder) define() {
	names := b.config.Variables
	b.defined = make([]request.Defined, names.Len())
	for i := range b.defined {
		b.defined[i].Name = names.Name(vars.ID(vars.NumIDs + i))
	}
}

// number is the number of a variable that the config defines.
func (b *builder) number(name string) int {
	id, ok := b.config.Variables.ID(name)
	if !ok {
		panic(fmt.Sprintf("worker: the config does not define $%s", name))
	}
	return int(id) - vars.NumIDs
}
