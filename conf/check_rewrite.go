// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	"strings"
)

// checkLocations checks the locations at one level: of a server, or in a location.
func (k *checker) checkLocations(p *path, list []Location, around *Location, server *Server) {
	seen := map[Path]bool{}
	for i := range list {
		l, at := &list[i], p.at(i)
		where := l.Path
		if where.Modifier == PrefixFinal { // "/x" and "^~ /x" are the same place
			where.Modifier = Prefix
		}
		if seen[where] && l.Path.Text != "" && l.Path.Modifier != Regex && l.Path.Modifier != RegexFold {
			k.faultAt(at.key("path"), "duplicate location %s", quote(l.Path.String()))
		}
		seen[where] = true
		if around != nil {
			k.checkNested(at.key("path"), l.Path, around.Path)
			switch {
			case l.Alias != "" || k.written(at.key("root")):
			case around.Alias != "":
				l.AliasOf = around
			default:
				l.AliasOf = around.AliasOf
			}
		}
		k.checkLocation(at, l, server)
	}
}

// checkNested checks that a location may be in another: as in nginx, where it could take requests of it.
func (k *checker) checkNested(p *path, inner, outer Path) {
	switch {
	case inner.Text == "" || outer.Text == "": // a fault already
	case outer.Modifier == Exact:
		k.faultAt(p, "cannot be inside the exact location %s", quote(outer.String()))
	case outer.Modifier == Named:
		k.faultAt(p, "cannot be inside the named location %s", quote(outer.String()))
	case inner.Modifier == Named:
		k.faultAt(p, "a named location can be in a server only")
	case inner.Modifier != Regex && inner.Modifier != RegexFold && !strings.HasPrefix(inner.Text, outer.Text):
		k.faultAt(p, "%s is outside location %s", quote(inner.String()), quote(outer.String()))
	}
}

// checkRules checks rules where one level does not show the faults. location is the one that they are in, nil for those of a server.
func (k *checker) checkRules(p *path, rules Rules, server *Server, location *Location) {
	for i := range rules {
		r, at := &rules[i], p.at(i)
		k.checkReturn(at.key("return"), r.Return)
		if r.If == nil {
			continue
		}
		for j := range r.If.Rules {
			if inner := &r.If.Rules[j]; inner.If != nil {
				k.faultAt(at.key("rewrite").at(j).key("if"), "cannot be in another if")
			} else {
				k.checkReturn(at.key("rewrite").at(j).key("return"), inner.Return)
			}
		}
		if location == nil {
			k.checkServerIf(at)
			continue
		}
		k.checkSettings(at, &r.If.Settings, server)
		k.checkInnerPass(at.key("proxy_pass"), r.If.ProxyPass, "an if")
	}
}

// checkServerIf checks that an if of a server has rules only: there is no location yet that its settings could be for.
func (k *checker) checkServerIf(p *path) {
	n, ok := k.root.locate(p)
	if !ok {
		return
	}
	for _, key := range n.keys {
		if key != "if" && key != "rewrite" {
			k.fault(n.kids[key], p.key(key), "in an if of a server only the key \"rewrite\" is possible")
		}
	}
}

// checkInnerPass checks the proxy_pass of an if or a limit_except.
func (k *checker) checkInnerPass(p *path, x *ProxyPass, where string) {
	if x == nil {
		return
	}
	if x.HasURI {
		k.faultAt(p, "cannot have a path in %s", where)
	}
	k.checkTarget(p, x)
}

// checkLimitExcept checks the limit_except of a location.
func (k *checker) checkLimitExcept(p *path, e *LimitExcept, server *Server) {
	if e == nil {
		return
	}
	if len(e.Methods) == 0 && k.writtenKey(p, "methods") != nil {
		k.faultAt(p.key("methods"), "must not be empty")
	}
	for i, m := range e.Methods {
		if !isToken(m) || strings.ToUpper(m) != m {
			k.faultAt(p.key("methods").at(i), "%s is not a method such as \"GET\"", quote(m))
		}
	}
	k.checkSettings(p, &e.Settings, server)
	k.checkInnerPass(p.key("proxy_pass"), e.ProxyPass, "limit_except")
}
