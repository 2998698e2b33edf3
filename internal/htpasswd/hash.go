// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package htpasswd

import (
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"
	"strings"

	"github.com/GehirnInc/crypt"
	"github.com/GehirnInc/crypt/apr1_crypt"
	"github.com/GehirnInc/crypt/md5_crypt"
	"github.com/GehirnInc/crypt/sha256_crypt"
	"github.com/GehirnInc/crypt/sha512_crypt"
	"golang.org/x/crypto/bcrypt"
)

// checker says whether a password fits a hash.
type checker func(hash string, password []byte) bool

// kindOf finds how a hash is checked, and whether that takes long; nil for an unknown kind.
func kindOf(hash string) (check checker, slow bool) {
	switch {
	case strings.HasPrefix(hash, plainPrefix):
		return checkPlain, false
	case strings.HasPrefix(hash, shaPrefix):
		return checkSHA, false
	case strings.HasPrefix(hash, sshaPrefix):
		return checkSSHA, false
	case strings.HasPrefix(hash, "$apr1$"):
		return checkWith(apr1_crypt.New), true
	case strings.HasPrefix(hash, "$1$"):
		return checkWith(md5_crypt.New), true
	case strings.HasPrefix(hash, "$5$"):
		return checkWith(sha256_crypt.New), true
	case strings.HasPrefix(hash, "$6$"):
		return checkWith(sha512_crypt.New), true
	case strings.HasPrefix(hash, "$2a$"), strings.HasPrefix(hash, "$2b$"), strings.HasPrefix(hash, "$2y$"):
		return checkBcrypt, true
	case isDES(hash):
		return checkDES, true
	}
	return nil, false
}

// Prefixes of the hashes that are no form of crypt(3): RFC 2307.
const (
	plainPrefix = "{PLAIN}"
	shaPrefix   = "{SHA}"
	sshaPrefix  = "{SSHA}"
)

func checkPlain(hash string, password []byte) bool {
	return subtle.ConstantTimeCompare([]byte(hash[len(plainPrefix):]), password) == 1
}

func checkSHA(hash string, password []byte) bool {
	return checkSum(hash[len(shaPrefix):], password, false)
}

// checkSSHA is checkSHA for a sum of the password and a salt, which stands behind the sum.
func checkSSHA(hash string, password []byte) bool {
	return checkSum(hash[len(sshaPrefix):], password, true)
}

func checkSum(text string, password []byte, salted bool) bool {
	sum, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(sum) < sha1.Size || !salted && len(sum) != sha1.Size {
		return false
	}
	h := sha1.New()
	h.Write(password)
	h.Write(sum[sha1.Size:])
	return subtle.ConstantTimeCompare(h.Sum(nil), sum[:sha1.Size]) == 1
}

func checkWith(kind func() crypt.Crypter) checker {
	return func(hash string, password []byte) bool { return kind().Verify(hash, password) == nil }
}

func checkBcrypt(hash string, password []byte) bool {
	return bcrypt.CompareHashAndPassword([]byte(hash), password) == nil
}
