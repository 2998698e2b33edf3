// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package convert

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	crossplane "github.com/nginxinc/nginx-go-crossplane"

	"weir/conf"
	"weir/internal/convert/wire"
)

// Bounds on what one configuration may be made of. nginx has none; these end what includes itself.
const (
	maxDepth      = 64      // files and blocks in each other
	maxDirectives = 1 << 20 // in all, a file that is included twice counted twice
)

// directive is one directive of an nginx.conf, with the includes in its block put in place.
type directive struct {
	name    string
	args    []string
	block   []*directive
	isBlock bool // ended by a block, which may be empty, and not by ";"
	file    string
	line    int
}

// syntaxError is a text that is not nginx's syntax, or an include that cannot be read. There is one only: what follows it could mean anything.
type syntaxError struct{ note wire.Note }

// Error is the fault as users see it.
func (e *syntaxError) Error() string { return e.note.String() }

// reader reads a configuration from its files.
type reader struct {
	files wire.Files
	dir   string   // of the main file: where relative includes start
	open  []string // the files being read, the main one first
	depth int
	count int
}

// read reads the configuration whose main file is name; main are directives that come before it.
func read(files wire.Files, name, main string) ([]*directive, error) {
	r := &reader{files: files, dir: filepath.Dir(name)}
	first, err := r.text(conf.CommandLine, []byte(main))
	if err != nil {
		return nil, err
	}
	all, err := r.file(name, &directive{})
	return append(first, all...), err
}

// fail is an error at a line. Without a directive the text says all.
func fail(file string, line int, name, format string, args ...any) error {
	return &syntaxError{wire.Note{Kind: wire.Refused, File: file, Line: line, Directive: name, Text: fmt.Sprintf(format, args...)}}
}

// file reads one file; by is the directive that includes it.
func (r *reader) file(name string, by *directive) ([]*directive, error) {
	if slices.Contains(r.open, name) {
		return nil, fail(by.file, by.line, by.name, "%s includes itself", name)
	}
	text, err := r.files.Read(name)
	if err != nil {
		return nil, fail(by.file, by.line, by.name, "%v", err)
	}
	return r.text(name, text)
}

// text reads the text of a file.
func (r *reader) text(name string, text []byte) ([]*directive, error) {
	if at := longWord(text); at >= 0 {
		return nil, fail(name, 1+bytes.Count(text[:at], []byte("\n")), "", `too long parameter "%.10s..." started`, text[at:])
	}
	r.open = append(r.open, name)
	defer func() { r.open = r.open[:len(r.open)-1] }()
	options := crossplane.LexOptions{Lexers: []crossplane.RegisterLexer{new(crossplane.Lua).RegisterLexer()}}
	tokens := crossplane.LexWithOptions(bytes.NewReader(text), options)
	defer func() {
		for range tokens { // its goroutine ends at the end of the text only
		}
	}()
	s := &stream{reader: r, file: name, tokens: tokens, line: 1, last: 1 + bytes.Count(text, []byte("\n")), broken: !utf8.Valid(text)}
	return s.block(false)
}

// stream is the tokens of a file.
type stream struct {
	*reader
	file   string
	tokens <-chan crossplane.NgxToken
	line   int  // of the last token
	last   int  // of the file
	broken bool // the text is not UTF-8: the lexer replaces bytes of it
}

// next is the next token that is no comment. ok is false at the end of the file.
func (s *stream) next() (t crossplane.NgxToken, ok bool, err error) {
	for t := range s.tokens {
		s.line = t.Line
		if t.Error != nil {
			return t, false, s.lexError(t.Error)
		}
		if !t.IsQuoted && strings.HasPrefix(t.Value, "#") {
			continue
		}
		if s.broken && strings.ContainsRune(t.Value, utf8.RuneError) { // other than in a comment
			return t, false, fail(s.file, t.Line, "", "the text is not UTF-8")
		}
		return t, true, nil
	}
	return t, false, nil
}

// lexError is an error of the lexer.
func (s *stream) lexError(err error) error {
	line, text := s.line, err.Error()
	if e, ok := err.(*crossplane.ParseError); ok {
		text = e.What
		if e.Line != nil {
			line = *e.Line
		}
	}
	return fail(s.file, line, "", "%s", text)
}

// is says whether a token is one of nginx's marks and not a text that looks like one.
func is(t crossplane.NgxToken, mark string) bool { return !t.IsQuoted && t.Value == mark }

// block reads directives up to the closing brace, or at the outermost level of a file to its end.
func (s *stream) block(inner bool) ([]*directive, error) {
	if s.depth++; s.depth > maxDepth {
		return nil, fail(s.file, s.line, "", "more than %d blocks and files in each other", maxDepth)
	}
	defer func() { s.depth-- }()
	all := []*directive{}
	for {
		t, ok, err := s.next()
		switch {
		case err != nil:
			return nil, err
		case !ok && inner:
			return nil, fail(s.file, s.last, "", `unexpected end of file, expecting "}"`)
		case !ok:
			return all, nil
		case is(t, "}") && inner:
			return all, nil
		case is(t, "{"), is(t, "}"), is(t, ";"):
			return nil, fail(s.file, t.Line, "", "unexpected %q", t.Value)
		}
		if len(t.Value) > maxWord {
			return nil, tooLong(s.file, t)
		}
		d := &directive{name: unescape(t.Value), file: s.file, line: t.Line}
		if err := s.rest(d); err != nil {
			return nil, err
		}
		if s.count++; s.count > maxDirectives {
			return nil, fail(s.file, d.line, d.name, "the configuration has more than %d directives", maxDirectives)
		}
		if d.name == "include" && !d.isBlock {
			included, err := s.include(d)
			if err != nil {
				return nil, err
			}
			all = append(all, included...)
			continue
		}
		all = append(all, d)
	}
}

// maxWord is the length of a word that nginx no longer reads.
const maxWord = 4096

// longWord is where a word stands that is much longer than that, -1 if none does: the lexer would take its time with it. Comments it skips.
func longWord(text []byte) int {
	word, comment := 0, false
	for i, b := range text {
		switch b {
		case '\n', '\r':
			word, comment = i+1, false
		case ' ', '\t', '"', '\'', ';':
			word = i + 1
		case '#':
			comment = comment || word == i
		}
		if i-word > 8*maxWord && !comment {
			return word
		}
	}
	return -1
}

func tooLong(file string, t crossplane.NgxToken) error {
	return fail(file, t.Line, "", `too long parameter "%.10s..." started`, t.Value)
}

// rest reads the arguments of a directive, and its block.
func (s *stream) rest(d *directive) error {
	for {
		t, ok, err := s.next()
		switch {
		case err != nil && strings.Contains(err.Error(), ": unexpected end of file"):
			return fail(s.file, s.last, "", `unexpected end of file, expecting ";" or "}"`)
		case err != nil:
			return err
		case !ok:
			return fail(s.file, s.last, "", `unexpected end of file, expecting ";" or "}" after %q in line %d`, d.name, d.line)
		case len(t.Value) > maxWord && !strings.HasSuffix(d.name, "_block"):
			return tooLong(s.file, t)
		case is(t, ";"):
			d.line = t.Line // where nginx says what is wrong with it
			return nil
		case is(t, "}"):
			return fail(s.file, t.Line, "", `unexpected "}": directive %q in line %d is not terminated by ";"`, d.name, d.line)
		case is(t, "{"):
			d.isBlock = true
			d.block, err = s.block(true)
			return err
		}
		d.args = append(d.args, unescape(t.Value))
	}
}

// include reads the files that an include names. As in nginx, a pattern may fit none.
func (s *stream) include(d *directive) ([]*directive, error) {
	if len(d.args) != 1 || d.args[0] == "" {
		return nil, fail(d.file, d.line, d.name, "%s", invalidNumber(d))
	}
	name := d.args[0]
	if !filepath.IsAbs(name) {
		name = filepath.Join(s.dir, name)
	}
	names := []string{name}
	if strings.ContainsAny(name, "*?[") {
		found, err := s.files.Glob(name)
		if err != nil {
			return nil, fail(d.file, d.line, d.name, "%s: %v", name, err)
		}
		names = slices.DeleteFunc(found, func(f string) bool { return hidden(name, f) })
		slices.Sort(names)
	}
	var all []*directive
	for _, name := range names {
		some, err := s.reader.file(name, d)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// hidden says whether a name fits a pattern only because a wildcard stands for a leading dot, which it does not for nginx (glob(3)).
func hidden(pattern, name string) bool {
	parts, names := strings.Split(pattern, "/"), strings.Split(name, "/")
	for i := range min(len(parts), len(names)) {
		if strings.HasPrefix(names[i], ".") && !strings.HasPrefix(parts[i], ".") {
			return true
		}
	}
	return false
}

// unescape replaces what nginx replaces in a word, quoted or not: backslashes before quotes and backslashes go, \t, \r and \n stand for the
// characters, and every other backslash stays, for regular expressions.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			if at := strings.IndexByte(`"'\trn`, s[i+1]); at >= 0 {
				b.WriteByte("\"'\\\t\r\n"[at])
				i++
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
