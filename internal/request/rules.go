// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"weir/internal/route"
	"weir/internal/vars"
)

// Rules are the directives of nginx's rewrite module in one server or location, in their order: a short program. What stands in an if comes right behind it.
type Rules struct {
	List []Rule
	Log  bool // rewrite_log
}

// Rule is one of them: exactly one field is set, or Break.
type Rule struct {
	Set     *Set
	Rewrite *Rewrite
	If      *If
	Return  *Return
	Break   bool
}

// ReturnRules are the rules of a server or location that answers every request alike.
func ReturnRules(ret *Return) *Rules { return &Rules{List: []Rule{{Return: ret}}} }

// Set gives a variable a value.
type Set struct {
	Variable vars.ID // one that the config defines, vars.Args or vars.LimitRate
	Value    *vars.Template
}

// Rewrite replaces the path of a request, or sends the client elsewhere.
type Rewrite struct {
	Pattern *route.Pattern
	// Path is what replaces the path; of a redirect all of the address. Args are what replaces the arguments; nil: they stay, or go.
	Path, Args *vars.Template
	AddArgs    bool // the arguments of the request are added
	HasArgs    bool // a redirect's address has some
	Code       int  // of a redirect; 0: it is none
	Last       bool // no further rules
	Break      bool // and the location stays
}

// If is a condition, and how it goes on.
type If struct {
	Test     Test
	Negate   bool
	Variable *vars.Template
	Operand  *vars.Template // of TestEqual; of the tests of files the path
	Pattern  *route.Pattern // of TestMatch
	Skip     int            // how many rules stand in it: the next ones
	Location *Location      // where the request is from then on; nil: where it was
}

// Test is what an If asks.
type Test uint8

// The tests.
const (
	TestTrue       Test = iota // Variable is neither empty nor "0"
	TestEqual                  // Variable is Operand
	TestMatch                  // Variable matches Pattern
	TestFile                   // there is a file at Operand
	TestDirectory              // a directory
	TestExists                 // either
	TestExecutable             // one that can be executed
)

// LimitExcept is where requests with other methods than some go.
type LimitExcept struct {
	Methods  []string // which stay; HEAD beside GET
	Location *Location
}
