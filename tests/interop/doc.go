// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package interop runs the same nginx.conf under the system's nginx and under weir, sends both the same bytes, and compares what comes back.
//
//	             nginx  ◀── nginx.conf ──▶  weir -c
//	case file      │                          │        origin of the harness, one for each of the two
//	 requests ─────┴──▶ status, fields, body, ◀┴────── closed or kept, logs
//
// `make interop` runs every case. `go test` without the tag interop, as `make test` does, runs a quick part (quick_test.go), and skips where there is no nginx.
// One case: go test -tags interop ./tests/interop -run 'TestInterop/^return$/^codes$' -v shows the answers of both.
//
// # A case
//
// testdata/THEME/NAME.txt: lines that say what it shows, then sections. Lines end as the file's do; in what is sent they end with CRLF.
//
//	The codes of return.
//	-- conf --
//	server { listen {{listen}}; location / { proxy_pass http://{{origin}}; } }
//	-- request plain --
//	GET /a?b HTTP/1.1
//	Host: example.org
//	-- request two on one connection --
//	POST /c HTTP/1.1
//	Host: example.org
//	Content-Length: 3
//
//	abc
//	----
//	GET /d HTTP/1.1
//	Host: example.org
//	-- origin /a --
//	HTTP/1.1 200 OK
//	Content-Length: 2
//
//	ok
//	-- file html/index.html --
//	<p>hello</p>
//	-- logs --
//	access.log
//	error.log warn
//	-- differences --
//	plain header:Keep-Alive: weir does not send it
//
// conf is what stands in http {}; main what stands around it; nginx.conf in place of both is a whole file, which has to name {{base}}, what the harness needs in the main
// block, and {{temp}}, what it needs in http. {{listen}}, {{listen2}}, {{listen3}} are addresses of the server under test, {{port}} and so on their ports, {{origin}},
// {{origin2}} those of origins, {{dead}} one that refuses connections, {{prefix}} the server's own folder. Where they are in an answer they are put back, so that the two can be compared.
//
// A request is sent as it stands. A section's empty line at the end of a head is added when it has none; a line feed at the end of a body is not sent. A line ---- waits for the
// answer, and goes on on the same connection. Options come after the name: raw (the section is Go's string syntax without the quotes: \r\n, \x00; its own line feeds are not sent),
// responses=N (so many answers come to one piece: pipelining), listen=2 (to the second address). In the end a further request finds out whether the connection was kept.
//
// The sections of origins and files can be raw too: "file html/a.gz raw".
//
// The origin answers a path with what its section says, in which a first line !close, !reset or !hang closes after it, resets, or says nothing until the client goes.
// A path without a section is answered with 200 and the request as it arrived: method, target, fields sorted, body, without Connection and the version of HTTP. {{origin2}} does the
// same, and says in its answer that it is the second.
//
// A file has one time of change. logs names files of {{prefix}}/logs that are compared, and for the error log the least level; of it only lines about connections.
//
// # Differences
//
// A difference that is known has a line: the request's name or *, what (status, header:NAME, body, closed, interim, access.log, error.log, or all), and the reason. They become the list in
// docs/migrating-from-nginx.md (make docs). One that is listed and is none fails, too.
package interop
