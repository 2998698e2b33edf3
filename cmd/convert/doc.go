// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Command weir-convert makes weir's TOML of an nginx.conf.
//
// A user runs it to see or keep the TOML; weir runs it, with --serve, whenever it reads a configuration that is no TOML. In that case it gives up what
// rights it has first, limits its own time, and reads no file: weir reads them for it (package convert/wire).
package main
