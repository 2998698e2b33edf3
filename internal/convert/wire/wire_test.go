// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package wire

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"weir/conf"
)

// What the client asks for comes from the disk of the server, and its result arrives as it was.
func TestTalk(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "conf.d"), 0o755))
	for _, name := range []string{"nginx.conf", "conf.d/a", "conf.d/b"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("text of "+name), 0o644))
	}
	questions, ask := io.Pipe()
	answer, answers := io.Pipe()
	want := &Result{Packed: []byte("a = 1\n\xff"), Daemon: true, Notes: []Note{{Different, "f", 3, "d", "how"}}}
	want.Lines.Add(conf.Place{File: "f", Line: 3, Directive: "d"})
	want.Lines.Add(conf.Place{})
	want.Lines.Add(conf.Place{File: "g", Line: 4, Directive: "d"})
	failed := make(chan error, 1)
	go func() {
		defer answer.Close()
		c := NewClient(answer, ask)
		text, err := c.Read("nginx.conf")
		if err == nil && string(text) != "text of nginx.conf" {
			t.Errorf("read %q", text)
		}
		if _, err := c.Read("none"); err == nil || !strings.HasSuffix(err.Error(), "none\" failed (2: No such file or directory)") {
			t.Errorf("a file that is not there: %v", err)
		}
		if _, err := c.Read("conf.d"); err == nil || !strings.Contains(err.Error(), "is not a file") {
			t.Errorf("a folder: %v", err)
		}
		if found, err := c.LookUp("localhost"); err != nil || len(found) == 0 {
			t.Errorf("a host: %v, %v", found, err)
		}
		if text, err := c.Read(os.DevNull); err != nil || len(text) != 0 {
			t.Errorf("%s: %q, %v", os.DevNull, text, err)
		}
		if names, err := c.Glob("conf.d/*"); err != nil || strings.Join(names, " ") != "conf.d/a conf.d/b" {
			t.Errorf("glob: %v, %v", names, err)
		}
		if names, err := c.Glob(dir + "/conf.d/a*"); err != nil || strings.Join(names, " ") != dir+"/conf.d/a" {
			t.Errorf("glob: %v, %v", names, err)
		}
		if err == nil {
			err = c.Done(want)
		}
		failed <- err
	}()
	got, err := Serve(questions, answers, &Disk{Base: dir})
	require.NoError(t, err)
	require.NoError(t, <-failed)
	want.Lines.last, want.Lines.index = 0, nil // it is of no use to who reads
	require.Equal(t, want, got)
	require.Equal(t, []conf.Place{{File: "f", Line: 3, Directive: "d"}, {}, {File: "g", Line: 4, Directive: "d"}}, got.Source("x").Lines)
}

// A disk that is offline asks nobody.
func TestOffline(t *testing.T) {
	found, err := (&Disk{Offline: true}).LookUp("localhost")
	require.NoError(t, err)
	require.Empty(t, found)
}

// A peer that makes no sense ends the talk; what it says of places is checked.
func TestNonsense(t *testing.T) {
	for _, text := range []string{"", "nonsense", "{}", `{"read":5}`, `{"result"`} {
		_, err := Serve(strings.NewReader(text), io.Discard, &Disk{})
		require.Error(t, err, "%q", text)
	}
	p := Places{Names: []string{"f"}, Lines: []byte{0, 2, 1, 2, 1, 2, 2, 1, 1, 10, 1, 1, 15, 1, 1, 0xff}} // no place, no such file, no such directive, line 2 + 5, line 7 - 8, an end in the middle
	require.Equal(t, []conf.Place{{}, {}, {}, {File: "f", Line: 7, Directive: "f"}, {}}, p.list())
}

func TestDiskIsBounded(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	require.NoError(t, os.WriteFile(name, []byte("12345"), 0o644))
	d := &Disk{files: maxFiles - 1}
	_, err := d.Read(name)
	require.NoError(t, err)
	_, err = d.Read(name)
	require.ErrorContains(t, err, "more than 20000 files")
	d = &Disk{bytes: maxBytes - 9}
	_, err = d.Read(name)
	require.NoError(t, err)
	_, err = d.Read(name)
	require.ErrorContains(t, err, "more than 67108864 bytes")
}

func TestNotes(t *testing.T) {
	for _, tt := range []struct {
		note        Note
		want, fault string
	}{
		{Note{Refused, "nginx.conf", 3, "a", "why"}, "nginx.conf:3: refused: a (why)", "why in nginx.conf:3"},
		{Note{Refused, "nginx.conf", 3, "a", "must not"}, "nginx.conf:3: refused: a (must not)", `"a" directive must not in nginx.conf:3`},
		{Note{Refused, "nginx.conf", 3, "a", "not possible"}, "nginx.conf:3: refused: a (not possible)", `"a" directive is not possible in nginx.conf:3`},
		{Note{Refused, conf.CommandLine, 1, "a", "why"}, "command line:1: refused: a (why)", "why in command line"},
		{Note{LeftOut, "nginx.conf", 3, "a", ""}, "nginx.conf:3: left out: a", "left out: a in nginx.conf:3"},
		{Note{Different, "nginx.conf", 3, "a", "how"}, "nginx.conf:3: different: a: how", "different: a: how in nginx.conf:3"},
		{Note{WithoutEffect, "nginx.conf", 3, "a", "why"}, "nginx.conf:3: without effect: a (why)", "without effect: a (why) in nginx.conf:3"},
		{Note{Refused, "nginx.conf", 3, "", "unexpected end"}, "nginx.conf:3: unexpected end", "unexpected end in nginx.conf:3"},
	} {
		require.Equal(t, tt.want, tt.note.String())
		require.Equal(t, tt.fault, tt.note.Fault().String())
	}
	r := &Result{Notes: []Note{{Kind: Different}, {Kind: LeftOut}}}
	require.False(t, r.Refused())
	r.Notes = append(r.Notes, Note{Kind: Refused})
	require.True(t, r.Refused())
	require.Len(t, r.Faults(LeftOut, Refused), 2)
}
