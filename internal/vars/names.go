// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package vars

import (
	"errors"
	"fmt"
	"strings"
)

// Names are the variables that a config defines itself: by set, map, geo and split_clients, and by the named groups of regular
// expressions. They have numbers from 0 on, and the ID of a variable is NumIDs + its number. A nil Names has none. It is filled while a
// config is read, and read-only afterwards.
type Names struct {
	list   []string // as the config spells them first
	byName map[string]int
	body   bool // a template names $request_body
	file   bool // a template names $request_body_file
	head   bool // a template names a $sent_http_ field
}

// use notes what a template names, as far as that changes how requests are served.
func (n *Names) use(id ID) {
	if n != nil {
		n.body = n.body || id == RequestBody
		n.file = n.file || id == RequestBodyFile
		n.head = n.head || id == SentHTTPField
	}
}

// RequestBody says whether a template that was compiled names $request_body: bodies have to be kept for it.
func (n *Names) RequestBody() bool { return n != nil && n.body }

// RequestBodyFile says whether a template that was compiled names $request_body_file: files of bodies need names.
func (n *Names) RequestBodyFile() bool { return n != nil && n.file }

// SentHead says whether a template that was compiled names a $sent_http_ field: heads have to be kept for it.
func (n *Names) SentHead() bool { return n != nil && n.head }

// Define adds a name, or finds it, without regard to case, and returns its ID. The error says why it cannot be the name of a variable: a template could not
// spell it, or it has a meaning already.
func (n *Names) Define(name string) (ID, error) {
	lower := strings.ToLower(name)
	if i, ok := n.byName[lower]; ok {
		return ID(NumIDs + i), nil
	}
	if err := checkName(name); err != nil {
		return 0, err
	}
	if len(n.list) == maxNames {
		return 0, fmt.Errorf("more than %d variables", maxNames)
	}
	if n.byName == nil {
		n.byName = map[string]int{}
	}
	n.byName[lower] = len(n.list)
	n.list = append(n.list, name)
	return ID(NumIDs + len(n.list) - 1), nil
}

// maxNames bounds what each request has room for.
const maxNames = 4096

// Len is how many there are.
func (n *Names) Len() int {
	if n == nil {
		return 0
	}
	return len(n.list)
}

// ID returns the ID of a name, without regard to case; false when it is not defined.
func (n *Names) ID(name string) (ID, bool) {
	if n == nil {
		return 0, false
	}
	i, ok := n.byName[strings.ToLower(name)]
	return ID(NumIDs + i), ok
}

// Name returns the name of a variable that is defined, as it was spelled first.
func (n *Names) Name(id ID) string { return n.list[int(id)-NumIDs] }

// Assignable returns the ID of a variable of the catalogue that a config may give a value (set), by its name without regard to case.
func Assignable(name string) (ID, bool) {
	switch strings.ToLower(name) {
	case "args":
		return Args, true
	case "limit_rate":
		return LimitRate, true
	}
	return 0, false
}

// Equal says whether other has the same names, whatever their order; nil has none.
func (n *Names) Equal(other *Names) bool {
	if n.Len() != other.Len() {
		return false
	}
	for i := range n.Len() {
		if _, ok := other.ID(n.list[i]); !ok {
			return false
		}
	}
	return true
}

// checkName says what is wrong with the name of a variable that a config defines.
func checkName(name string) error {
	if name == "" {
		return errors.New("a variable needs a name")
	}
	for i := range len(name) {
		if !nameByte(name[i]) {
			return fmt.Errorf("%q is not the name of a variable: it has only letters, digits and \"_\"", name)
		}
	}
	if name[0] >= '0' && name[0] <= '9' {
		return fmt.Errorf("%q is not the name of a variable: it does not start with a digit", name)
	}
	if id, ok := builtin(strings.ToLower(name)); ok {
		return fmt.Errorf("variable \"$%s\" exists already", id)
	}
	return nil
}

// Compile compiles a text with variables, $name or ${name}, for anything but a log: a header
// field's value, a key, a URI. The error says which variable is unknown or badly written.
func (n *Names) Compile(text string) (*Template, error) {
	return n.compile(text, EscapeNone, false)
}

// CompileLog compiles the text of a log_format: values are escaped as esc says, and with
// EscapeDefault a variable without value is written as "-".
func (n *Names) CompileLog(text string, esc Escape) (*Template, error) {
	return n.compile(text, esc, esc == EscapeDefault)
}

// Compile is Names.Compile for a text that names no variable of the config's own.
func Compile(text string) (*Template, error) { return (*Names)(nil).Compile(text) }

// CompileLog is Names.CompileLog for a text that names no variable of the config's own.
func CompileLog(text string, esc Escape) (*Template, error) {
	return (*Names)(nil).CompileLog(text, esc)
}
