// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestKeys(t *testing.T) {
	location := Keys[Location]()
	for name, want := range map[string]Form{
		"proxy_buffering": FormFlag, "proxy_next_upstream_tries": FormNumber, "client_max_body_size": FormSize, "send_timeout": FormTime,
		"proxy_http_version": FormText, "proxy_pass": FormText, "proxy_next_upstream": FormTexts, "proxy_hide_header": FormTexts,
		"proxy_buffers": FormNumberSize, "proxy_set_header": FormNames, "error_page": FormOther, "proxy_redirect": FormOther,
	} {
		if k, ok := location[name]; !ok || k.Name != name || k.Form != want {
			t.Errorf("%s is %+v, want form %d", name, k, want)
		}
	}
	if _, ok := Keys[UpstreamServer]()["weight"]; !ok {
		t.Error("no weight")
	}
	if _, ok := Keys[Upstream]()["name"]; ok {
		t.Error("the name of an entry is no key")
	}
}

// Every table that a key of the schema belongs to describes it.
func TestKeysAreComplete(t *testing.T) {
	for name, f := range (specs{}).of(reflect.TypeFor[Server]()).byKey {
		if Keys[Server]()[name].Name != f.key {
			t.Errorf("Keys has no %s", name)
		}
	}
}

// Faults and warnings of a text that was made from another configuration name that one.
func TestFaultsNameTheOrigin(t *testing.T) {
	src := Source{
		Name:  "nginx.conf",
		Text:  []byte("worker_processes = -1\nnonsense = 1\n[http]\nkeepalive_timeout = \"soon\"\n"),
		Lines: []Place{{"nginx.conf", 7, "worker_processes"}, {}, {"conf.d/a.conf", 3, "http"}, {"conf.d/b.conf", 9, "keepalive_timeout"}},
		Notes: Faults{{File: "nginx.conf", Line: 2, Text: "different: x", Level: LevelWarn}},
	}
	_, _, err := Load(src)
	var got []string
	for _, f := range err.(Faults) {
		got = append(got, f.String())
	}
	want := []string{
		`"worker_processes" directive must be at least 1, not -1 in nginx.conf:7`,
		"unknown key in nginx.conf",
		`"keepalive_timeout" directive must be a time such as "30s", "500ms" or "1m30s", not "soon" in conf.d/b.conf:9`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	src.Text = []byte("= 1\n")
	if _, _, err := Load(src); err.(Faults)[0].Line != 7 {
		t.Errorf("no TOML: %v", err)
	}
	src.Text, src.Lines = nil, []Place{{"nginx.conf", 1, ""}}
	src.Packed = Value{Of: []Field{{"http", Value{Of: []Field{}, Line: 1}}}}.Pack()
	if _, warnings, err := Load(src); err != nil || warnings[0].String() != "different: x in nginx.conf:2" || warnings[1].File != "nginx.conf" {
		t.Errorf("%v, %v", warnings, err)
	}
}
