// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"weir/conf"
	"weir/internal/convert/wire"
)

// convertTimeout is how long weir-convert may take. A configuration of ten thousand servers takes a second.
const convertTimeout = 60 * time.Second

// maxComplaint is how much of what weir-convert says when it fails is shown.
const maxComplaint = 4 << 10

// converts says whether the configuration is an nginx.conf: whatever is named with -c and not *.toml.
func (c command) converts() bool {
	return c.config != "" && !strings.HasSuffix(c.config, ".toml")
}

// directives is what -g says when that is nginx's syntax, as it may be for an nginx.conf: it ends with a semicolon, as TOML does not.
func (c command) directives() string {
	if !c.converts() || !strings.HasSuffix(strings.TrimSpace(c.overrides), ";") {
		return ""
	}
	return c.overrides
}

// convert has weir-convert make a Source of an nginx.conf. What it refuses are faults, with the lines of the nginx.conf; what is different is
// noted in the Source. Nobody but weir-convert parses nginx's syntax, in a process without rights, for which the files are read here.
func (c command) convert() (conf.Source, error) {
	src := conf.Source{Name: c.config} // what is wrong is said with the whole path, as nginx does
	result, err := c.converted, error(nil)
	if result == nil {
		result, err = c.runConvert()
	}
	if err != nil {
		return src, fmt.Errorf("configuration: %s: weir-convert: %w", c.config, err)
	}
	if result.Refused() {
		if c.action == actionTest || c.action == actionPrint { // all there is to know
			return src, result.Faults(wire.Refused, wire.Different, wire.LeftOut)
		}
		return src, result.Faults(wire.Refused)
	}
	kinds := []wire.Kind{wire.Different, wire.LeftOut}
	if c.action == actionTest || c.action == actionPrint {
		kinds = append(kinds, wire.WithoutEffect)
	}
	src = result.Source(c.config, kinds...)
	if src.Prefix = c.prefix; c.directives() == "" {
		src.Overrides = c.overrides
	}
	return src, nil
}

// runConvert runs weir-convert, which lies beside this program as weir-worker does, and reads the configuration's files for it.
func (c command) runConvert() (*wire.Result, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), convertTimeout)
	defer cancel()
	args := []string{"--serve"}
	if c.lenient {
		args = append(args, "--lenient")
	}
	if directives := c.directives(); directives != "" {
		args = append(args, "--main", directives)
	}
	child := exec.CommandContext(ctx, filepath.Join(filepath.Dir(self), "weir-convert"), append(args, "--", c.file())...)
	child.Env = []string{} // nothing of this process's is its business
	complaint := &bytes.Buffer{}
	child.Stderr = &limited{complaint, maxComplaint}
	child.WaitDelay = time.Second
	in, err := child.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := child.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := child.Start(); err != nil {
		return nil, err
	}
	files := wire.Files(&wire.Disk{Base: c.prefix, Offline: c.action == actionTest || c.action == actionPrint})
	if c.sources != nil {
		c.sources.Files, c.sources.path = files, c.path
		files = c.sources
	}
	result, err := wire.Serve(io.LimitReader(out, maxConfigBytes*4), in, files)
	if err != nil {
		cancel() // whatever it does
	}
	ended := child.Wait()
	switch {
	case err == nil:
		return result, nil
	case errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		return nil, fmt.Errorf("it has not ended after %s", convertTimeout)
	case complaint.Len() > 0:
		return nil, errors.New(strings.TrimSpace(strings.TrimPrefix(complaint.String(), "weir-convert: ")))
	case ended != nil:
		return nil, fmt.Errorf("%w (%w)", err, ended)
	}
	return nil, err
}

// sources are the files of an nginx.conf that were read, for -T.
type sources struct {
	wire.Files
	path  func(string) string
	names []string // in the order of reading
	texts map[string][]byte
}

// Read is wire.Files.Read.
func (s *sources) Read(name string) ([]byte, error) {
	text, err := s.Files.Read(name)
	if full := s.path(name); err == nil && s.texts[full] == nil {
		if s.texts == nil {
			s.texts = map[string][]byte{}
		}
		s.names, s.texts[full] = append(s.names, full), append([]byte{}, text...)
	}
	return text, err
}

// write writes each file once, as nginx -T does.
func (s *sources) write(w io.Writer) {
	for _, name := range s.names {
		fmt.Fprintf(w, "# configuration file %s:\n%s\n\n", name, s.texts[name])
	}
}

// limited passes on so many bytes, and drops the rest.
type limited struct {
	w    io.Writer
	left int
}

// Write never fails, so that the writer at the other end is not stopped.
func (l *limited) Write(p []byte) (int, error) {
	some := p[:min(len(p), l.left)]
	l.left -= len(some)
	_, _ = l.w.Write(some)
	return len(p), nil
}
