// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"weir/internal/vars"
)

// variable appends the value of one variable. See vars.Source, and the catalogue of package vars for their meaning.
type variable func(r *Request, dst []byte, arg string) ([]byte, bool)

// variables are all that nginx and weir define, by their ID: a new one is an entry in the file that it belongs to.
type variables [vars.NumIDs]variable

func newVariables() *variables {
	t := &variables{}
	t.addConnection()
	t.addRequest()
	t.addTarget()
	t.addResponse()
	t.addOrigin()
	t.addWorker()
	t.addRealIP()
	t.addProxied()
	t.addFiles()
	return t
}

// AppendVariable appends the value of a variable. See vars.Source.
func (r *Request) AppendVariable(dst []byte, id vars.ID, arg string) ([]byte, bool) {
	if int(id) >= vars.NumIDs {
		return r.appendDefined(dst, int(id)-vars.NumIDs)
	}
	return r.engine.variables[id](r, dst, arg)
}
