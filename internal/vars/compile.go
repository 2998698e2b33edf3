// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package vars

import (
	"fmt"
	"strings"
)

// MustCompile is Compile for texts that are part of the program; it panics where Compile fails.
func MustCompile(text string) *Template {
	t, err := Compile(text)
	if err != nil {
		panic(fmt.Sprintf("vars.MustCompile(%q): %v", text, err))
	}
	return t
}

func (n *Names) compile(text string, esc Escape, absent bool) (*Template, error) {
	t := &Template{text: text}
	plain := plainIDs()
	literalFrom := 0
	for {
		dollar := strings.IndexByte(text[literalFrom:], '$')
		if dollar < 0 {
			t.tail = text[literalFrom:]
			return t, nil
		}
		dollar += literalFrom
		name, end, err := scanName(text, dollar)
		if err != nil {
			return nil, err
		}
		o := op{literal: text[literalFrom:dollar], escape: esc, absent: absent}
		if o.id, o.arg, err = n.resolve(name); err != nil {
			return nil, err
		}
		if int(o.id) < NumIDs && plain[o.id] {
			o.plain, o.escape = true, EscapeNone
		}
		n.use(o.id)
		t.ops = append(t.ops, o)
		literalFrom = end
	}
}

// scanName returns the name behind the "$" at text[dollar] and where the text goes on. A digit from
// 1 to 9 is a whole name outside braces, as in nginx: "$10" is capture 1 and a literal "0".
func scanName(text string, dollar int) (name string, end int, err error) {
	from := dollar + 1
	braced := from < len(text) && text[from] == '{'
	if braced {
		from++
	}
	end = from
	if !braced && end < len(text) && text[end] >= '1' && text[end] <= '9' {
		return text[from : end+1], end + 1, nil
	}
	for end < len(text) && nameByte(text[end]) {
		end++
	}
	name = text[from:end]
	if braced {
		if end == len(text) || text[end] != '}' {
			return "", 0, fmt.Errorf("the closing brace of %q is missing", text[dollar:end])
		}
		end++
	}
	if name == "" {
		return "", 0, fmt.Errorf("\"$\" at byte %d is not followed by a variable's name (a literal \"$\" cannot be written)", dollar)
	}
	return name, end, nil
}

func nameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
}

// resolve finds a variable by its name, without regard to case as nginx does. What a config defines hides the families, as in nginx; the
// other names cannot be defined.
func (n *Names) resolve(name string) (ID, string, error) {
	if len(name) == 1 && name[0] >= '1' && name[0] <= '9' {
		return Capture1 + ID(name[0]-'1'), "", nil
	}
	lower := strings.ToLower(name)
	if id, ok := builtin(lower); ok {
		if id == BinaryRemoteAddrPrefix {
			return id, defaultPrefix, nil
		}
		return id, "", nil
	}
	if id, ok := n.ID(lower); ok {
		return id, "", nil
	}
	if bits, found := strings.CutPrefix(lower, prefixFamily); found {
		if arg, ok, err := resolvePrefix(bits); ok {
			return BinaryRemoteAddrPrefix, arg, err
		}
	}
	for i := range families {
		prefix := families[i].Name
		if !strings.HasPrefix(lower, prefix) {
			continue
		}
		if lower == prefix {
			return 0, "", fmt.Errorf("variable \"$%s\" needs a name after %q", name, prefix)
		}
		id := families[i].ID
		switch id {
		case HTTPField, SentHTTPField, UpstreamHTTPField, SentTrailerField, UpstreamTrailerField:
			return id, strings.ReplaceAll(lower[len(prefix):], "_", "-"), nil
		}
		return id, name[len(prefix):], nil
	}
	if meant := n.suggest(lower); meant != "" {
		return 0, "", fmt.Errorf("unknown variable \"$%s\" (did you mean \"$%s\"?)", name, meant)
	}
	return 0, "", fmt.Errorf("unknown variable \"$%s\"", name)
}

// builtin finds a variable of the catalogue by its name in lower case.
func builtin(lower string) (ID, bool) {
	for i := range catalogue {
		if catalogue[i].Name == lower {
			return catalogue[i].ID, true
		}
	}
	return 0, false
}
