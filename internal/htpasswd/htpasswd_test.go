// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package htpasswd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// hashes are of "good", made by htpasswd(1) and crypt(3), unless they say otherwise.
var hashes = map[string]string{
	"apr1":   "$apr1$X32XkCga$YVHs4I72G.NLCyP1vmC/X1",
	"bcrypt": "$2y$05$9aOry9VyGhSdRLPsKuSUtubF.GA/bdhElvfKvCw2ZTUf4yoTX59.G",
	"sha":    "{SHA}/BkxjdExKM4UNE0GZRCpgiacJBs=",
	"ssha":   "{SSHA}gVPFKSVobQnEn8GpYtM9nr/+TGdzYWx0",
	"plain":  "{PLAIN}good",
	"md5":    "$1$saltsalt$1MQUU1ezMItRLsMHIumtN1",
	"sha256": "$5$saltsalt$CrM5J9bXng9e4JV6QswJFbHuXgNmZcl03uWpWruFdL.",
	"sha512": "$6$saltsalt$tvNwrYsLeJNmnd1mv9Q9Cmptu3hZMD//oA1pvMy99AU5ZDlCDttOYpCJq1x/gE95vRHP9RtCKwL4hHmXoXP/j.",
	"des":    "Cbz1P4I.VhzeU",
	"des2":   "./fjPxSUT9X.g",
}

func TestHashes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "htpasswd")
	var text strings.Builder
	text.WriteString("# plain:{PLAIN}bad\n\nnonsense\n:{PLAIN}nobody\n")
	for user, hash := range hashes {
		text.WriteString(user + ":" + hash + "\r\n")
	}
	text.WriteString("plain:{PLAIN}second\ncomment:{PLAIN}good:a comment: of words\nodd:good\nempty:\nbroken:{SHA}good\nshort:{SSHA}Z29vZA==\nlast:{PLAIN}")
	require.NoError(t, os.WriteFile(path, []byte(text.String()), 0o600))
	f := New()
	check := func(user, password string) Outcome {
		t.Helper()
		o, err := f.Check(path, []byte(user), []byte(password))
		require.NoError(t, err)
		return o
	}
	for user := range hashes {
		require.Equal(t, Mismatch, check(user, "bad"), user)
		require.Equal(t, Mismatch, check(user, ""), user)
		require.Equal(t, Match, check(user, "good"), user)
		require.Equal(t, Match, check(user, "good"), user)
	}
	require.Equal(t, Match, check("comment", "good"))
	require.Equal(t, Match, check("last", ""))
	require.Equal(t, Match, check("", "nobody"))
	require.Equal(t, Mismatch, check("plain", "second"), "the first line of a user counts")
	for _, user := range []string{"odd", "empty"} {
		require.Equal(t, Unknown, check(user, "good"), user)
	}
	for _, user := range []string{"broken", "short"} {
		require.Equal(t, Mismatch, check(user, "good"), user)
	}
	for _, user := range []string{"nobody", "# plain", "nonsense"} {
		require.Equal(t, NoUser, check(user, "good"), user)
	}
}

// TestDES: figures of crypt(3).
func TestDES(t *testing.T) {
	for _, c := range [][3]string{
		{"good", "sa", "sa4EQlvRoTMww"}, {"password", "ab", "abJnggxhB/yWI"}, {"", "zz", "zz6dpSdr.LHZw"}, {"longer than eight", "9Z", "9ZNL7ZYMVXFQo"},
		{"p\xe4ss", "Xy", "Xy3CRGn3Xojug"},
	} {
		require.Equal(t, c[2], cryptDES([]byte(c[0]), c[1]), "%q", c[0])
	}
}

// TestFileChanges: the next check sees a change, also one that leaves the file's size and is so quick that its time does not tell.
func TestFileChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "htpasswd")
	f := New()
	o, err := f.Check(path, []byte("u"), []byte("p0"))
	require.Error(t, err)
	require.Equal(t, NoFile, o)
	for i, password := range []string{"p0", "p1", "p2", "p3"} {
		require.NoError(t, os.WriteFile(path, []byte("u:{PLAIN}"+password), 0o600))
		for _, tried := range []string{"p0", "p1", "p2", "p3"} {
			o, err := f.Check(path, []byte("u"), []byte(tried))
			require.NoError(t, err)
			require.Equal(t, tried == password, o == Match, "round %d", i)
		}
	}
	old := time.Now().Add(-time.Hour)
	require.NoError(t, os.Chtimes(path, old, old))
	for range 2 {
		_, err = f.Check(path, []byte("u"), []byte("p3"))
		require.NoError(t, err)
	}
	require.True(t, f.byPath[path].settled)
	require.NoError(t, os.WriteFile(path, []byte("u:{PLAIN}p4"), 0o600))
	o, err = f.Check(path, []byte("u"), []byte("p4"))
	require.NoError(t, err)
	require.Equal(t, Match, o)
	require.NoError(t, os.Remove(path))
	o, err = f.Check(path, []byte("u"), []byte("p4"))
	require.Error(t, err)
	require.Equal(t, NoFile, o)
	o, err = f.Check(t.TempDir(), []byte("u"), []byte("p4"))
	require.Error(t, err)
	require.Equal(t, Unreadable, o)
}

func TestVerifiedOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "htpasswd")
	require.NoError(t, os.WriteFile(path, []byte("u:"+hashes["bcrypt"]+"\nv:"+hashes["sha"]), 0o600))
	f := New()
	for range 3 {
		for user, password := range map[string]string{"u": "good", "v": "good"} {
			o, err := f.Check(path, []byte(user), []byte(password))
			require.NoError(t, err)
			require.Equal(t, Match, o)
		}
	}
	require.Equal(t, 1, f.slow)
	for range 2 {
		o, err := f.Check(path, []byte("u"), []byte("bad"))
		require.NoError(t, err)
		require.Equal(t, Mismatch, o)
	}
	require.Equal(t, 3, f.slow, "what does not fit is not remembered")
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("u:{PLAIN}x\n#a:b\n\nv:$apr1$X32XkCga$YVHs4I72G.NLCyP1vmC/X1:comment\r\n"))
	f.Add([]byte("u:$5$$\nv:$6$rounds=1$x\nw:$2y$99$\nx:{SSHA}\ny:$apr1$"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for user, hash := range parse(text) {
			require.False(t, strings.ContainsAny(user+hash, ":\n"), "%q", text)
			if check, slow := kindOf(hash); check != nil && (!slow || len(hash) < 40 && !strings.Contains(hash, "rounds") && hash[1] != '2') {
				check(hash, []byte("good"))
			}
		}
	})
}
