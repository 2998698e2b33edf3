// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package vars

import (
	"errors"
	"fmt"
	"strings"
)

// Compile compiles a text with variables, $name or ${name}, for anything but a log: a header
// field's value, a key, a URI. captures are the named groups of the regular expressions that are
// in force where the text stands. The error says which variable is unknown or badly written.
func Compile(text string, captures ...string) (*Template, error) {
	return compile(text, EscapeNone, false, captures)
}

// CompileLog compiles the text of a log_format: values are escaped as esc says, and with
// EscapeDefault a variable without value is written as "-". For captures see Compile.
func CompileLog(text string, esc Escape, captures ...string) (*Template, error) {
	return compile(text, esc, esc == EscapeDefault, captures)
}

// MustCompile is Compile for texts that are part of the program; it panics where Compile fails.
func MustCompile(text string) *Template {
	t, err := Compile(text)
	if err != nil {
		panic(fmt.Sprintf("vars.MustCompile(%q): %v", text, err))
	}
	return t
}

func compile(text string, esc Escape, absent bool, captures []string) (*Template, error) {
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
		if o.id, o.arg, err = resolve(name, captures); err != nil {
			return nil, err
		}
		if plain[o.id] {
			o.plain, o.escape = true, EscapeNone
		}
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

// resolve finds a variable by its name, without regard to case as nginx does. A named capture hides
// nothing, because CheckCapture refuses one that has the name of a variable.
func resolve(name string, captures []string) (ID, string, error) {
	if len(name) == 1 && name[0] >= '1' && name[0] <= '9' {
		return Capture1 + ID(name[0]-'1'), "", nil
	}
	lower := strings.ToLower(name)
	for i := range catalogue {
		if catalogue[i].Name == lower {
			if catalogue[i].ID == BinaryRemoteAddrPrefix {
				return BinaryRemoteAddrPrefix, defaultPrefix, nil
			}
			return catalogue[i].ID, "", nil
		}
	}
	for _, c := range captures {
		if strings.EqualFold(c, name) {
			return NamedCapture, c, nil
		}
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
		case HTTPField, SentHTTPField, UpstreamHTTPField:
			return id, strings.ReplaceAll(lower[len(prefix):], "_", "-"), nil
		}
		return id, name[len(prefix):], nil
	}
	if meant := suggest(lower, captures); meant != "" {
		return 0, "", fmt.Errorf("unknown variable \"$%s\" (did you mean \"$%s\"?)", name, meant)
	}
	return 0, "", fmt.Errorf("unknown variable \"$%s\"", name)
}

// CheckCapture says what is wrong with a regular expression's group name as the name of a
// variable: it must be one that a template can spell, and not one that has a meaning already.
func CheckCapture(name string) error {
	if name == "" {
		return errors.New("a named capture needs a name")
	}
	for i := range len(name) {
		if !nameByte(name[i]) {
			return fmt.Errorf("named capture %q: a variable's name has only letters, digits and \"_\"", name)
		}
	}
	if name[0] >= '0' && name[0] <= '9' {
		return fmt.Errorf("named capture %q: a variable's name does not start with a digit", name)
	}
	if id, _, err := resolve(name, nil); err == nil {
		return fmt.Errorf("named capture %q: variable \"$%s\" exists already", name, id)
	}
	return nil
}
