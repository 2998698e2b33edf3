// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// What one configuration may take.
const (
	maxFiles = 20_000
	maxBytes = 64 << 20

	maxLookups    = 1000
	lookupTimeout = 10 * time.Second // of one
)

// Files are the files of a configuration. Names are as in the configuration, and as faults name them.
type Files interface {
	// Read returns the text of a regular file.
	Read(name string) ([]byte, error)
	// Glob returns the names that fit a pattern, in any order.
	Glob(pattern string) ([]string, error)
	// LookUp returns the addresses of a host; none, without an error, where names are not to be looked up.
	LookUp(host string) ([]string, error)
}

// Disk is the file system. Names that are not absolute start at Base.
type Disk struct {
	Base    string
	Offline bool // names of hosts are not looked up
	files   int
	bytes   int64
	lookups int
}

// Read is Files.Read.
func (d *Disk) Read(name string) ([]byte, error) {
	path := d.path(name)
	if path == os.DevNull {
		return nil, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, notOpened(path, err)
	}
	d.files++
	d.bytes += info.Size()
	switch {
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a file", path)
	case d.files > maxFiles:
		return nil, fmt.Errorf("the configuration has more than %d files", maxFiles)
	case d.bytes > maxBytes:
		return nil, fmt.Errorf("the configuration has more than %d bytes", maxBytes)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, notOpened(path, err)
	}
	return text, nil
}

// notOpened says why a file cannot be read, as nginx does.
func notOpened(path string, err error) error {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return err
	}
	text := errno.Error()
	return fmt.Errorf("open() %q failed (%d: %s%s)", path, int(errno), strings.ToUpper(text[:1]), text[1:])
}

// Glob is Files.Glob.
func (d *Disk) Glob(pattern string) ([]string, error) {
	names, err := filepath.Glob(d.path(pattern))
	if err != nil { // no pattern: glob(3) takes it for a name that there is not
		return nil, nil
	}
	if filepath.IsAbs(pattern) {
		return names, nil
	}
	for i, name := range names {
		names[i] = strings.TrimPrefix(name, filepath.Clean(d.Base)+"/")
	}
	return names, nil
}

// LookUp is Files.LookUp.
func (d *Disk) LookUp(host string) ([]string, error) {
	if d.Offline {
		return nil, nil
	}
	if d.lookups++; d.lookups > maxLookups {
		return nil, fmt.Errorf("the configuration has more than %d names of hosts", maxLookups)
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	return net.DefaultResolver.LookupHost(ctx, host)
}

func (d *Disk) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(d.Base, name)
}

// question is what weir-convert says.
type question struct {
	Read   string  `json:"read,omitempty"`
	Glob   string  `json:"glob,omitempty"`
	LookUp string  `json:"look_up,omitempty"`
	Result *Result `json:"result,omitempty"`
}

// answer is what weir says.
type answer struct {
	Text  []byte   `json:"text,omitempty"`
	Names []string `json:"names,omitempty"`
	Error string   `json:"error,omitempty"`
}

// Serve reads files for a weir-convert at the other end of in and out until it gives its result.
func Serve(in io.Reader, out io.Writer, files Files) (*Result, error) {
	questions, answers := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var q question
		if err := questions.Decode(&q); err != nil {
			return nil, err
		}
		var a answer
		var err error
		switch {
		case q.Result != nil:
			return q.Result, nil
		case q.Read != "":
			a.Text, err = files.Read(q.Read)
		case q.Glob != "":
			a.Names, err = files.Glob(q.Glob)
		case q.LookUp != "":
			a.Names, err = files.LookUp(q.LookUp)
		default:
			return nil, errors.New("a question that asks nothing")
		}
		if err != nil {
			a.Error = err.Error()
		}
		if err := answers.Encode(a); err != nil {
			return nil, err
		}
	}
}

// Client is weir-convert's side of the talk.
type Client struct {
	in  *json.Decoder
	out *json.Encoder
}

// NewClient asks over out and reads the answers from in. It owns neither.
func NewClient(in io.Reader, out io.Writer) *Client {
	return &Client{json.NewDecoder(in), json.NewEncoder(out)}
}

// Read is Files.Read.
func (c *Client) Read(name string) ([]byte, error) {
	a, err := c.ask(question{Read: name})
	return a.Text, err
}

// Glob is Files.Glob.
func (c *Client) Glob(pattern string) ([]string, error) {
	a, err := c.ask(question{Glob: pattern})
	return a.Names, err
}

// LookUp is Files.LookUp.
func (c *Client) LookUp(host string) ([]string, error) {
	a, err := c.ask(question{LookUp: host})
	return a.Names, err
}

// Done gives the result, and ends the talk.
func (c *Client) Done(r *Result) error { return c.out.Encode(question{Result: r}) }

func (c *Client) ask(q question) (answer, error) {
	var a answer
	if err := c.out.Encode(q); err != nil {
		return a, err
	}
	if err := c.in.Decode(&a); err != nil {
		return a, err
	}
	if a.Error != "" {
		return a, errors.New(a.Error)
	}
	return a, nil
}
