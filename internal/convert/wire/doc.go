// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package wire is what weir and weir-convert say to each other: how a converted configuration looks, and how the files it was made from are read.
//
//	weir (its own user, perhaps root)            weir-convert (nobody, no new privileges)
//	  Serve  <------- {"read":"nginx.conf"} -----  Client.Read
//	         ------- {"text":"..."} ----------->
//	         <------- {"glob":"conf.d/*"} ------  Client.Glob
//	         ------- {"names":[...]} ---------->
//	         <------- {"look_up":"a.example"} --  Client.LookUp
//	         ------- {"names":[...]} ---------->
//	         <------- {"result":{...}} ---------  Client.Done
//
// weir-convert reads text that others have written, so it runs without weir's rights, and opens no file and looks up no name: it asks, and weir does it. So a
// configuration that only root may read can be converted, and what goes wrong in the parser has nothing in its hands.
//
// # Who owns what
//
// Serve runs in weir and owns neither end of the pipes. [Disk] is the file system, for weir and for a weir-convert that a user has started.
//
// # Invariants
//
//   - An answer follows each question, in order; a result ends the talk.
//   - Nothing but regular files is read, and no more than maxBytes of them, at most maxFiles.
//
// # On failure
//
// A file that cannot be read is an answer with an error, which becomes a fault of the line that names the file. A peer that says something else ends
// the talk with an error. Whoever starts the process limits its time.
//
// # Not here
//
// The conversion (package convert, which alone may know nginx's syntax) and the process (cmd/master, cmd/convert).
package wire
