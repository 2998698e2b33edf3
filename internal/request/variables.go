// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"weir/internal/http1"
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
	t.addJudge()
	return t
}

// known are the variables for what is prepared before there is an engine. Read-only.
var known = newVariables()

// Text is a template that is rendered with every request.
type Text = vars.Bound[*Request]

// Prepare looks up the variables of a template.
func Prepare(t *vars.Template) *Text { return vars.Bind(t, getter) }

// getter finds a variable. Fields of the request that have a number are found by it, and not by their name with each request.
func getter(id vars.ID, arg string) vars.Getter[*Request] {
	if int(id) >= vars.NumIDs {
		number := int(id) - vars.NumIDs
		return vars.Getter[*Request]{Append: func(r *Request, dst []byte, _ string) ([]byte, bool) { return r.appendDefined(dst, number) }}
	}
	if field := http1.FieldByName([]byte(arg)); id == vars.HTTPField && field != http1.FieldOther {
		return vars.Getter[*Request]{Append: func(r *Request, dst []byte, _ string) ([]byte, bool) { return r.appendFieldsOf(dst, field) }}
	}
	return vars.Getter[*Request]{Append: known[id]}
}

// AppendVariable appends the value of a variable. See vars.Source.
func (r *Request) AppendVariable(dst []byte, id vars.ID, arg string) ([]byte, bool) {
	if int(id) >= vars.NumIDs {
		return r.appendDefined(dst, int(id)-vars.NumIDs)
	}
	return r.engine.variables[id](r, dst, arg)
}
