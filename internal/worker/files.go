// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package worker

import (
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"weir/conf"
	"weir/internal/files"
	"weir/internal/request"
	"weir/internal/static"
)

// lister reads folders, on a thread of its own; nil where no list can be asked for.
func (w *worker) lister() *files.Lister {
	if !w.config.HasSettings(func(s *conf.Settings) bool { return s.Autoindex || s.RandomIndex }) {
		return nil
	}
	return files.NewLister(w.calls.NewThread())
}

// files is how a location with a root, or an alias for the first skip bytes of the path, answers with files.
func (b *builder) files(c *conf.Settings, root conf.Template, skip int) (*request.Files, error) {
	f := &request.Files{
		Skip: skip, Etag: c.Etag, Since: static.Since(c.IfModifiedSince), MaxRanges: c.MaxRanges,
		Links: files.Links(c.DisableSymlinks.Mode), LogNotFound: c.LogNotFound,
	}
	var err error
	if f.Root, err = b.folder(string(root), skip == 0); err != nil {
		return nil, err
	}
	for _, text := range c.Index {
		candidate, err := b.candidate(string(text))
		if err != nil {
			return nil, err
		}
		f.Index = append(f.Index, candidate)
	}
	f.RandomIndex = c.RandomIndex
	if c.Autoindex {
		f.Autoindex = &static.Listing{Format: static.Format(c.AutoindexFormat), Rounded: !c.AutoindexExactSize}
		if c.AutoindexLocaltime {
			f.Autoindex.Local = time.Local
		}
	}
	if from := string(c.DisableSymlinks.From); from != "" && f.Links != files.LinksAllowed {
		f.Trusted, err = b.compile(from)
	}
	return f, err
}

// folder makes a place in the file system; root: a slash at its end is not needed.
func (b *builder) folder(text string, root bool) (request.Folder, error) {
	f := request.Folder{Prefix: strings.TrimSuffix(b.manifest.Prefix, "/"), Above: !static.Inside([]byte(text))}
	if root && len(text) > 1 {
		text = strings.TrimSuffix(text, "/")
	}
	t, err := b.compile(text)
	if err != nil {
		return f, err
	}
	if constant, ok := t.Constant(); ok {
		f.Text = constant
		if !filepath.IsAbs(constant) {
			f.Text = f.Prefix + "/" + constant
		}
		if root && f.Text == "/" {
			f.Text = ""
		}
		return f, nil
	}
	f.Template = t
	return f, nil
}

func (b *builder) candidate(text string) (request.Candidate, error) {
	t, err := b.compile(text)
	if err != nil {
		return request.Candidate{}, err
	}
	if constant, ok := t.Constant(); ok {
		return request.Candidate{Text: constant}, nil
	}
	return request.Candidate{Template: t}, nil
}

// tryFiles makes what is looked for; nil: nothing.
func (b *builder) tryFiles(list []conf.Template) (*request.TryFiles, error) {
	if len(list) == 0 {
		return nil, nil
	}
	t := &request.TryFiles{}
	last := len(list) - 1
	for _, text := range list[:last] {
		name := string(text)
		dir := strings.HasSuffix(name, "/")
		c, err := b.candidate(strings.TrimSuffix(name, "/"))
		if err != nil {
			return nil, err
		}
		c.Dir = dir
		t.List = append(t.List, c)
	}
	var err error
	switch text := string(list[last]); text[0] {
	case '=':
		t.Code, err = strconv.Atoi(text[1:])
	case '@':
		t.Named = text
	default:
		t.URI, err = b.compile(text)
	}
	return t, err
}

// expires makes the rule of expires; nil: there is none.
func (b *builder) expires(c *conf.Settings) (*request.ExpiresRule, error) {
	if c.Expires == "off" {
		return nil, nil
	}
	if strings.Contains(string(c.Expires), "$") {
		t, err := b.compile(string(c.Expires))
		return &request.ExpiresRule{Template: t}, err
	}
	fixed, err := static.ParseExpires(string(c.Expires))
	return &request.ExpiresRule{Fixed: fixed}, err
}

// typesKey is what tells tables of types apart: lists that have been inherited are one list.
type typesKey struct {
	first *conf.MimeType
	n     int
	other string
}

func (b *builder) types(c *conf.Settings) *static.Types {
	key := typesKey{n: len(c.Types), other: c.DefaultType}
	if key.n > 0 {
		key.first = &c.Types[0]
	}
	if t := b.typeTables[key]; t != nil {
		return t
	}
	byExtension := map[string]string{}
	for _, m := range c.Types { // of two types for an extension the last counts
		for _, ext := range m.Extensions {
			byExtension[strings.ToLower(ext)] = m.Type
		}
	}
	t := static.NewTypes(byExtension, c.DefaultType)
	if b.typeTables == nil {
		b.typeTables = map[typesKey]*static.Types{}
	}
	b.typeTables[key] = t
	return t
}
