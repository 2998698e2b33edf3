// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package lint

import (
	"bufio"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// policy is layers.txt, parsed.
type policy struct {
	order []string                   // packages, from the ground up
	never map[string]map[string]bool // package -> what it may not import though the order would allow it
	only  map[string]map[string]bool // import path, "go" or "time.Sleep" -> who may use it
}

// parsePolicy reads the text of layers.txt.
func parsePolicy(text string) (*policy, error) {
	p := &policy{never: make(map[string]map[string]bool), only: make(map[string]map[string]bool)}
	scanner := bufio.NewScanner(strings.NewReader(text))
	for number := 1; scanner.Scan(); number++ {
		line, _, _ := strings.Cut(scanner.Text(), "#")
		if strings.TrimSpace(line) == "" {
			continue
		}
		head, list, ok := strings.Cut(line, ":")
		if !ok {
			return nil, fmt.Errorf("layers.txt:%d: want `name : package...`", number)
		}
		head, names := strings.TrimSpace(head), strings.Fields(list)
		if subject, ok := strings.CutPrefix(head, "never "); ok {
			p.never[strings.TrimSpace(subject)] = set(names)
		} else if subject, ok := strings.CutPrefix(head, "only "); ok {
			p.only[strings.TrimSpace(subject)] = set(names)
		} else {
			p.order = append(p.order, names...)
		}
	}
	for i, name := range p.order {
		if slices.Contains(p.order[:i], name) {
			return nil, fmt.Errorf("layers.txt: %s stands twice", name)
		}
	}
	return p, scanner.Err()
}

func set(names []string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, name := range names {
		m[name] = true
	}
	return m
}

// policyName is the name that layers.txt has for a folder: event for internal/event, conf, cmd/master.
// A folder below a package goes with the package.
func policyName(folder string) string {
	name := strings.TrimPrefix(folder, "internal/")
	if strings.HasPrefix(folder, "cmd/") {
		return name
	}
	name, _, _ = strings.Cut(name, "/")
	return name
}

// checkImports holds every import of product code, and of the tests beside it, against the policy's order.
func checkImports(t *tree, p *policy) []finding {
	var found []finding
	for _, f := range t.files {
		if f.folder == "internal/lint" || strings.HasPrefix(f.folder, "tests/") || f.folder == "tests" {
			continue
		}
		name := policyName(f.folder)
		rank := slices.Index(p.order, name)
		command := strings.HasPrefix(f.folder, "cmd/")
		if rank < 0 && !command {
			found = append(found, finding{path: f.path, text: fmt.Sprintf("package %s has no place in layers.txt", name)})
			continue
		}
		for _, spec := range f.syntax.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			if allowed, ok := p.only[imported]; ok && !allowed[name] && !f.test {
				found = append(found, t.at(f, spec.Pos(), "imports %s, which only %s may", imported, list(allowed)))
			}
			local, ok := strings.CutPrefix(imported, modulePath+"/")
			if !ok || command {
				continue
			}
			if why := p.refuses(name, rank, policyName(local)); why != "" && policyName(local) != name {
				found = append(found, t.at(f, spec.Pos(), "%s imports %s: %s", name, policyName(local), why))
			}
		}
	}
	return found
}

// refuses says why a package may not import another, or "" when it may.
func (p *policy) refuses(name string, rank int, imported string) string {
	switch other := slices.Index(p.order, imported); {
	case other < 0:
		return "it has no place in layers.txt"
	case other > rank:
		return "it stands above"
	case p.never[name][imported]:
		return "layers.txt says never"
	}
	return ""
}

// checkPolicyIsCurrent finds packages that layers.txt names and the tree does not have.
func checkPolicyIsCurrent(t *tree, p *policy) []finding {
	have := make(map[string]bool)
	for folder := range t.folders() {
		have[policyName(folder)] = true
	}
	var found []finding
	for _, name := range p.order {
		if !have[name] {
			found = append(found, finding{path: "internal/lint/layers.txt", text: "no package " + name})
		}
	}
	return found
}

func list(names map[string]bool) string {
	var sorted []string
	for name := range names {
		sorted = append(sorted, name)
	}
	slices.Sort(sorted)
	return strings.Join(sorted, ", ")
}
