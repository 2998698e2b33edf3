// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	_ "embed" // for defaultText
	"reflect"

	"weir/internal/vars"
)

// defaultText is the embedded default configuration; it is never changed.
//
//go:embed weir.toml
var defaultText string

// Default is the text of the embedded default configuration, which names every key.
func Default() []byte { return []byte(defaultText) }

// overridesName is how faults name Source.Overrides.
const overridesName = "-g"

// Source is a configuration and what it is read with. The same Source gives the same Config in every process.
type Source struct {
	Name      string // how faults name it: the file as the user gave it
	Text      []byte // TOML
	Packed    []byte // in place of Text: Value.Pack
	Overrides string // TOML of -g: tables are merged over Text's, everything else replaces it; faults in it are named "-g"
	Prefix    string // directory that relative paths start from; "": they stay relative

	// For what was made from another configuration, such as an nginx.conf: the place that each of its lines comes from, which faults
	// name instead; and what was found on the way, to be returned with the warnings. Neither changes the Config.
	Lines []Place
	Notes Faults
}

// Load parses and checks a configuration. It opens no file and no socket, looks up no name and no user, and keeps nothing of src.
// On faults the Config is nil and the error is of type [Faults], with all of them; a text that is not TOML has one. Warnings are about what
// has no effect, and come with or without an error.
func Load(src Source) (*Config, []Fault, error) {
	cfg, _, warnings, err := load(src)
	return cfg, warnings, err
}

// load is Load, and returns the tree too.
func load(src Source) (*Config, *node, []Fault, error) {
	root, faults := parseSource(src)
	if len(faults) > 0 {
		src.relocate(faults, LevelEmerg)
		return nil, nil, src.Notes, faults
	}
	cfg, warnings, faults := decode(root, src.Prefix)
	src.relocate(warnings, LevelWarn)
	warnings = append(src.Notes[:len(src.Notes):len(src.Notes)], warnings...)
	if len(faults) > 0 {
		src.relocate(faults, LevelEmerg)
		return nil, nil, warnings, faults
	}
	return cfg, root, warnings, nil
}

// decode makes a configuration of a tree, or finds its faults.
func decode(root *node, prefix string) (cfg *Config, warnings, faults Faults) {
	c := &collector{root: root}
	d := &decoder{collector: c, specs: specs{}, prefix: prefix, variables: &vars.Names{}}
	cfg = new(Config)
	d.table(root, nil, reflect.ValueOf(cfg).Elem(), reflect.Value{})
	k := &checker{decoder: d, cfg: cfg, groups: map[string]int{}, zones: map[string]int{}, rates: map[string]int{}}
	k.check()
	if len(c.faults) == 0 {
		k.resolve()
		k.checkMaxConns()
	}
	c.warnings.sort()
	c.faults.sort()
	return cfg, c.warnings, c.faults
}

// parseSource makes the tree and lays the overrides over it.
func parseSource(src Source) (*node, Faults) {
	var faults Faults
	parse, from := parseTree, src.Text
	if src.Packed != nil {
		parse, from = unpack, src.Packed
	}
	root, fault := parse(src.Name, from)
	if fault != nil {
		faults = append(faults, *fault)
	}
	if src.Overrides != "" {
		over, fault := parseTree(overridesName, []byte(src.Overrides))
		switch {
		case fault != nil:
			faults = append(faults, *fault)
		case root != nil:
			root.merge(over)
		}
	}
	return root, faults
}
