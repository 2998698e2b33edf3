// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package static

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Format is the form of a listing: autoindex_format.
type Format uint8

// The forms.
const (
	FormatHTML Format = iota
	FormatJSON
	FormatJSONP
	FormatXML
	FormatOne // no page: the name of one of the files, or nothing (random_index)
)

// EntryKind is what an entry of a folder is.
type EntryKind uint8

// The kinds.
const (
	KindFile EntryKind = iota
	KindDir
	KindOther
)

// String is the kind as listings have it.
func (k EntryKind) String() string { return [...]string{"file", "directory", "other"}[k] }

// Entry is one entry of a folder.
type Entry struct {
	Name     string
	Kind     EntryKind
	MtimeSec int64
	Size     int64
}

// Listing is how a folder is shown.
type Listing struct {
	Format   Format
	Rounded  bool           // sizes in K, M and G (autoindex_exact_size off)
	Local    *time.Location // times as they are there; nil: UTC
	UTF8     bool           // names are counted by characters, as the page says that it is UTF-8
	Path     string         // of the folder, as the client has it
	Callback string         // of FormatJSONP; empty: FormatJSON
	Chance   uint32         // which file it is, of FormatOne
}

// ContentType is the type of the page.
func (l *Listing) ContentType() string {
	switch {
	case l.Format == FormatXML:
		return "text/xml; charset=utf-8"
	case l.Format == FormatHTML:
		return "text/html"
	case l.Format == FormatJSONP && l.Callback != "":
		return "application/javascript"
	}
	return "application/json"
}

// Append appends the page with the entries, in nginx's order (folders first, then by name) and, but for the name of the callback, byte for byte
// as nginx writes it. It sorts entries.
func (l *Listing) Append(dst []byte, entries []Entry) []byte {
	if l.Format == FormatOne {
		return l.one(dst, entries)
	}
	slices.SortFunc(entries, func(a, b Entry) int {
		if (a.Kind == KindDir) != (b.Kind == KindDir) {
			if a.Kind == KindDir {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Name, b.Name)
	})
	switch l.Format {
	case FormatHTML:
		return l.html(dst, entries)
	case FormatXML:
		return l.xml(dst, entries)
	}
	if l.Format == FormatJSONP && l.Callback != "" {
		dst = append(append(append(dst, "/* callback */\r\n"...), l.Callback...), '(')
		return append(l.json(dst, entries), ");"...)
	}
	return l.json(dst, entries)
}

// nameColumns is the width of the column of names.
const nameColumns = 50

func (l *Listing) html(dst []byte, entries []Entry) []byte {
	dst = append(dst, "<html>\r\n<head><title>Index of "...)
	dst = appendHTML(dst, l.Path)
	dst = append(dst, "</title></head>\r\n<body>\r\n<h1>Index of "...)
	dst = appendHTML(dst, l.Path)
	dst = append(dst, "</h1><hr><pre><a href=\"../\">../</a>\r\n"...)
	for i := range entries {
		e := &entries[i]
		dst = appendURI(append(dst, "<a href=\""...), e.Name)
		if e.Kind == KindDir {
			dst = append(dst, '/')
		}
		dst = append(dst, '"', '>')
		dst = l.appendName(dst, e)
		dst = append(dst, ' ')
		dst = l.appendTime(dst, e.MtimeSec)
		dst = append(l.appendSize(dst, e), '\r', '\n')
	}
	return append(dst, "</pre><hr></body>\r\n</html>\r\n"...)
}

// appendName appends the text of a link, its end, and blanks up to the width of the column.
func (l *Listing) appendName(dst []byte, e *Entry) []byte {
	wide := len(e.Name)
	if l.UTF8 && utf8.ValidString(e.Name) {
		wide = utf8.RuneCountInString(e.Name)
	}
	if wide > nameColumns {
		cut := nameColumns - 3
		if wide != len(e.Name) {
			for i := range e.Name {
				if cut == 0 {
					cut = i
					break
				}
				cut--
			}
		}
		return append(appendHTML(dst, e.Name[:cut]), "..&gt;</a>"...)
	}
	dst = appendHTML(dst, e.Name)
	if e.Kind == KindDir && wide < nameColumns {
		dst = append(dst, '/')
		wide++
	}
	dst = append(dst, "</a>"...)
	for ; wide < nameColumns; wide++ {
		dst = append(dst, ' ')
	}
	return dst
}

func (l *Listing) appendTime(dst []byte, sec int64) []byte {
	t := time.Unix(sec, 0).UTC()
	if l.Local != nil {
		t = t.In(l.Local)
	}
	return t.AppendFormat(dst, "02-Jan-2006 15:04 ")
}

func (l *Listing) appendSize(dst []byte, e *Entry) []byte {
	if !l.Rounded {
		if e.Kind == KindDir {
			return appendRight(dst, "-", 19)
		}
		return appendRight(dst, strconv.FormatInt(e.Size, 10), 19)
	}
	if e.Kind == KindDir {
		return appendRight(dst, "-", 7)
	}
	size, scale := e.Size, ""
	for _, s := range [...]struct {
		from, unit int64
		letter     string
	}{{1<<30 - 1, 1 << 30, "G"}, {1<<20 - 1, 1 << 20, "M"}, {9999, 1 << 10, "K"}} {
		if e.Size > s.from {
			size, scale = e.Size/s.unit, s.letter
			if e.Size%s.unit > s.unit/2-1 {
				size++
			}
			break
		}
	}
	if scale == "" {
		return appendRight(dst, strconv.FormatInt(size, 10), 7)
	}
	return append(appendRight(dst, strconv.FormatInt(size, 10), 6), scale...)
}

func appendRight(dst []byte, text string, width int) []byte {
	for n := len(text); n < width; n++ {
		dst = append(dst, ' ')
	}
	return append(dst, text...)
}

func (l *Listing) json(dst []byte, entries []Entry) []byte {
	dst = append(dst, '[')
	for i := range entries {
		e := &entries[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendJSON(append(dst, "\r\n{ \"name\":\""...), e.Name)
		dst = append(append(dst, "\", \"type\":\""...), e.Kind.String()...)
		dst = append(AppendDate(append(dst, "\", \"mtime\":\""...), e.MtimeSec), '"')
		if e.Kind == KindFile {
			dst = strconv.AppendInt(append(dst, ", \"size\":"...), e.Size, 10)
		}
		dst = append(dst, " }"...)
	}
	return append(dst, "\r\n]"...)
}

func (l *Listing) xml(dst []byte, entries []Entry) []byte {
	dst = append(dst, "<?xml version=\"1.0\"?>\r\n<list>\r\n"...)
	for i := range entries {
		e := &entries[i]
		kind := e.Kind.String()
		dst = append(append(append(dst, '<'), kind...), " mtime=\""...)
		dst = append(time.Unix(e.MtimeSec, 0).UTC().AppendFormat(dst, "2006-01-02T15:04:05Z"), '"')
		if e.Kind == KindFile {
			dst = append(strconv.AppendInt(append(dst, " size=\""...), e.Size, 10), '"')
		}
		dst = appendHTML(append(dst, '>'), e.Name)
		dst = append(append(append(dst, "</"...), kind...), ">\r\n"...)
	}
	return append(dst, "</list>\r\n"...)
}

// appendHTML appends a text that is to be read in a page.
func appendHTML(dst []byte, text string) []byte {
	for i := range len(text) {
		switch c := text[i]; c {
		case '<':
			dst = append(dst, "&lt;"...)
		case '>':
			dst = append(dst, "&gt;"...)
		case '&':
			dst = append(dst, "&amp;"...)
		case '"':
			dst = append(dst, "&quot;"...)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// appendURI appends a name as a part of an address: letters, digits and "-._~" stay.
func appendURI(dst []byte, name string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(name) {
		c := name[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~' {
			dst = append(dst, c)
		} else {
			dst = append(dst, '%', hex[c>>4], hex[c&15])
		}
	}
	return dst
}

// appendJSON appends the inside of a JSON string.
func appendJSON(dst []byte, text string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c == '\t':
			dst = append(dst, '\\', 't')
		case c == '\b':
			dst = append(dst, '\\', 'b')
		case c == '\f':
			dst = append(dst, '\\', 'f')
		case c < ' ':
			dst = append(dst, '\\', 'u', '0', '0', '0'+c>>4, hex[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// IsCallback says whether a text can be the name of a function for FormatJSONP: letters, digits, "_" and ".", as nginx has it.
func IsCallback(text []byte) bool {
	if len(text) > 128 {
		return false
	}
	for _, c := range text {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '.') {
			return false
		}
	}
	return true
}

// one appends the name of one of the files.
func (l *Listing) one(dst []byte, entries []Entry) []byte {
	files := slices.DeleteFunc(entries, func(e Entry) bool { return e.Kind != KindFile })
	if len(files) == 0 {
		return dst
	}
	return append(dst, files[uint64(l.Chance)*uint64(len(files))>>32].Name...)
}
