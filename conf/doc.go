// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package conf is what a user may write: the schema of the configuration, its defaults, and its checks.
//
//	text (file, -g)                                     an nginx.conf
//	   | BurntSushi/toml: values   indexText: places       | package convert, Value.Pack
//	   '--------------.    .------------'     .------------'
//	                  node tree, -g merged over the file
//	                     |  decoder: goes by the schema's types and tags; http -> server -> location inheritance
//	                  Config
//	                     |  checker: references, duplicates, templates, regular expressions
//	                     |  resolve: groups behind proxy_pass, redirects, listeners
//	                  Config, warnings  or  Faults: every fault with file, line and key
//
// # The schema
//
// schema.go, schema_http.go and schema_server.go hold one struct per TOML table. The struct is the result as well: its fields are what
// the rest of weir reads. A field's comment is its text in docs/configuration.md; its tags (listed at [Config]) are its key, default and
// bounds. To add a key: add a field with its tags, name it in weir.toml, run `make docs`, and use it. Two tests fail
// when the example or the reference are forgotten.
//
// A key that may stand in [http] and in a server is in [ServerSettings], one that may stand in a location too is in [Settings]; a struct that embeds
// one of these inherits all of it from the struct around it before its own keys are decoded. That is nginx's rule: a value written at a
// level replaces the inherited one, lists and tables as a whole.
//
// # Who owns what
//
// A Config is immutable after Load and shares nothing with the Source. The master loads a Source; its workers Unpack the tree that it had after the overrides, and get
// equal Configs without parsing the text again.
//
// # Invariants
//
//   - Load is a function of its Source: it reads no file, clock, environment or network.
//   - Load does not panic, whatever the text (FuzzLoad).
//   - Loading Config.TOML() with the same prefix gives an equal Config, and so does unpacking what LoadPacked packed (TestRoundTrip).
//   - A Config that Load returns has no value out of its bounds and no reference that leads nowhere.
//
// # On failure
//
// All faults are collected; a text that is not TOML has the library's first only. Tags that make no sense panic: they are bugs in the
// schema, and every test finds them.
//
// # Not here
//
// Compiled templates, tables of names and locations (packages vars and route compile them in the worker; here they are only tried);
// user ids and host names (nothing is looked up); nginx.conf, of which package convert makes a Source. [Keys] tells it what the schema has, and
// Source.Lines has faults name the nginx.conf.
package conf

//go:generate go test -run "TestReference|TestEveryKeyIsTested" -update .
