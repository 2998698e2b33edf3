// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package htpasswd checks passwords against files of lines "user:hash[:comment]", as nginx's auth_basic_user_file has them.
//
//	path, user, password --Files.Check--> file, read again if it has changed --> the user's first line --> its hash --> Match, Mismatch, ...
//
// The kinds of hashes: bcrypt ($2a$, $2b$, $2y$), Apache's MD5 ($apr1$), MD5 ($1$), SHA-256 ($5$) and SHA-512 ($6$) of crypt(3), its old DES, {SHA},
// {SSHA} and {PLAIN}. The arithmetic is that of golang.org/x/crypto, GehirnInc/crypt and the standard library, but for DES, for which there is no library.
//
// # Who owns what
//
// A Files belongs to one goroutine, which may wait for disks and take its time: in a worker, one of package offload.
//
// # Invariants
//
//   - A change of a file counts for the next check (TestFileChanges).
//   - A hash that takes long is worked out once for each password that fits, while its line stays (TestVerifiedOnce); no password is kept, only what a
//     secret of the process makes of it.
//
// # On failure
//
// A file that cannot be read, and a hash of an unknown kind, let nobody in; the outcome says which it was.
//
// # Not here
//
// Where user and password come from, and what is answered.
package htpasswd
