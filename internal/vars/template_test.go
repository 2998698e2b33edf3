// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package vars

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// request is a Source for tests: values by "id" or "id:arg"; what is not in it is not found.
type request map[string]string

func (r request) AppendVariable(dst []byte, id ID, arg string) ([]byte, bool) {
	key := id.String()
	if int(id) >= NumIDs {
		key = fmt.Sprint("(of the config ", int(id)-NumIDs, ")")
	}
	if arg != "" {
		key += ":" + arg
	}
	value, ok := r[key]
	if !ok {
		return append(dst, "rubbish that must not be kept"...), false
	}
	return append(dst, value...), true
}

var sample = request{
	"remote_addr":          "192.0.2.7",
	"host":                 "example.com",
	"uri":                  "/a b",
	"args":                 "x=1",
	"is_args":              "?",
	"status":               "200",
	"time_local":           "21/Nov/2026:22:50:15 +0000",
	"request":              "GET /a%20b?x=1 HTTP/1.1",
	"body_bytes_sent":      "28",
	"http_:user-agent":     `curl "8"`,
	"sent_http_:x-a":       "sent",
	"upstream_http_:x-a":   "origin",
	"arg_:x":               "1",
	"arg_:Under_score":     "kept",
	"cookie_:Session_ID":   "abc",
	"upstream_cookie_:sid": "def",
	"1":                    "one",
	"9":                    "nine",
	"(of the config 0)":    "captured",
	"(of the config 1)":    "captured too",
	"https":                "",
}

func TestCompileAndAppend(t *testing.T) {
	names := &Names{}
	for i, name := range []string{"name", "Upper"} {
		id, err := names.Define(name)
		require.NoError(t, err)
		require.Equal(t, ID(NumIDs+i), id)
	}
	for _, c := range []struct{ text, want string }{
		{"", ""},
		{"no variable", "no variable"},
		{"$host", "example.com"},
		{"${host}", "example.com"},
		{"${host}x", "example.comx"},
		{"$host$host", "example.comexample.com"},
		{"a${host}b$status.c", "aexample.comb200.c"},
		{"$HOST ${Remote_Addr}", "example.com 192.0.2.7"}, // names have no case
		{"$host-$host", "example.com-example.com"},
		{"$document_uri$is_args$query_string", "/a b?x=1"},
		{"$http_user_agent", `curl "8"`},
		{"$HTTP_User_Agent", `curl "8"`},
		{"$sent_http_x_a|$upstream_http_x_a", "sent|origin"},
		{"$arg_x|$arg_Under_score", "1|kept"},
		{"$cookie_Session_ID|$upstream_cookie_sid", "abc|def"},
		{"<$https>", "<>"},
		{"<$content_type>", "<>"}, // not found
		{"$1$9", "onenine"},
		{"$10", "one0"}, // one digit, as in nginx
		{"${1}0", "one0"},
		{"$name/$upper/$Upper", "captured/captured too/captured too"},
		{"{$host}", "{example.com}"},
		{"\x00\xff$host\n", "\x00\xffexample.com\n"},
	} {
		tmpl, err := names.Compile(c.text)
		require.NoError(t, err, c.text)
		require.Equal(t, "before "+c.want, string(tmpl.Append([]byte("before "), sample)), c.text)
		require.Equal(t, c.text, tmpl.String())
	}
}

func TestCompileRefuses(t *testing.T) {
	names := &Names{}
	_, err := names.Define("Name")
	require.NoError(t, err)
	for _, c := range []struct{ text, want string }{
		{"$", `"$" at byte 0 is not followed by a variable's name (a literal "$" cannot be written)`},
		{"cost: 5$", `"$" at byte 7 is not followed by a variable's name (a literal "$" cannot be written)`},
		{"$$host", `"$" at byte 0 is not followed by a variable's name (a literal "$" cannot be written)`},
		{"${}", `"$" at byte 0 is not followed by a variable's name (a literal "$" cannot be written)`},
		{"a${host", `the closing brace of "${host" is missing`},
		{"a${host-x}", `the closing brace of "${host" is missing`},
		{"${", `the closing brace of "${" is missing`},
		{"$hots", `unknown variable "$hots" (did you mean "$host"?)`},
		{"$Remot_addr", `unknown variable "$Remot_addr" (did you mean "$remote_addr"?)`},
		{"$upstream_responsetime", `unknown variable "$upstream_responsetime" (did you mean "$upstream_response_time"?)`},
		{"$htp_user_agent", `unknown variable "$htp_user_agent" (did you mean "$http_user_agent"?)`},
		{"$upstrem_http_x_a", `unknown variable "$upstrem_http_x_a" (did you mean "$upstream_http_x_a"?)`},
		{"$nmae", `unknown variable "$nmae" (did you mean "$Name"?)`},
		{"$xyzzy", `unknown variable "$xyzzy"`},
		{"$0", `unknown variable "$0"`},
		{"${12}", `unknown variable "$12"`},
		{"$binary_remote_addr_33_64", `variable "$binary_remote_addr_33_64": an IPv4 prefix has 0 to 32 bits, not 33`},
		{"${binary_remote_addr_32_129}", `variable "$binary_remote_addr_32_129": an IPv6 prefix has 0 to 128 bits, not 129`},
		{"$binary_remote_addr_32", `unknown variable "$binary_remote_addr_32" (did you mean "$binary_remote_addr"?)`},
		{"$binary_remote_addr_24_x", `unknown variable "$binary_remote_addr_24_x" (did you mean "$binary_remote_addr"?)`},
		{"$binary_remote_addr_24_48_1", `unknown variable "$binary_remote_addr_24_48_1" (did you mean "$binary_remote_addr_prefix"?)`},
		{"$binary_remote_addr_", `unknown variable "$binary_remote_addr_" (did you mean "$binary_remote_addr"?)`},
		{"$binary_remote_addr_prefx", `unknown variable "$binary_remote_addr_prefx" (did you mean "$binary_remote_addr_prefix"?)`},
		{"$http_", `variable "$http_" needs a name after "http_"`},
		{"$upstream_cookie_", `variable "$upstream_cookie_" needs a name after "upstream_cookie_"`},
	} {
		_, err := names.Compile(c.text)
		require.EqualError(t, err, c.want, c.text)
		_, err = names.CompileLog(c.text, EscapeJSON)
		require.EqualError(t, err, c.want, c.text)
	}
}

// Every name of the catalogue compiles to its ID and to nothing else, and no two meanings share one.
func TestCatalogue(t *testing.T) {
	byID := map[ID][]string{}
	for _, v := range Catalogue() {
		name, wantArg := v.Name, ""
		if name[len(name)-1] == '_' {
			name, wantArg = name+"x", "x"
		}
		id, arg, err := (*Names)(nil).resolve(name)
		require.NoError(t, err)
		require.Equal(t, v.ID, id, name)
		if id == BinaryRemoteAddrPrefix {
			wantArg = defaultPrefix
		}
		require.Equal(t, wantArg, arg, name)
		require.NotEmpty(t, v.Doc, name)
		byID[v.ID] = append(byID[v.ID], v.Name)
	}
	for id := ID(1); int(id) < NumIDs; id++ {
		switch {
		case id >= Capture1 && id <= Capture9:
			require.Empty(t, byID[id], id)
		case id == SSL:
			require.Greater(t, len(byID[id]), 20)
		case id == URI, id == Args, id == HTTP2:
			require.Len(t, byID[id], 2, id)
		default:
			require.Len(t, byID[id], 1, id)
		}
		if len(byID[id]) > 0 {
			require.Equal(t, byID[id][0], id.String())
		}
	}
	require.Equal(t, "(no variable)", ID(0).String())
	require.Equal(t, "(of the config)", numIDs.String())
	require.Equal(t, "3", Capture3.String())
}

func TestConstant(t *testing.T) {
	text, ok := MustCompile("keep-alive").Constant()
	require.True(t, ok)
	require.Equal(t, "keep-alive", text)
	_, ok = MustCompile("$host").Constant()
	require.False(t, ok)
	text, ok = new(Template).Constant()
	require.True(t, ok)
	require.Empty(t, text)
	require.Empty(t, new(Template).Append(nil, nil))
	require.PanicsWithValue(t, `vars.MustCompile("$"): "$" at byte 0 is not followed by a variable's name (a literal "$" cannot be written)`,
		func() { MustCompile("$") })
}

func TestBeyond(t *testing.T) {
	names := &Names{}
	_, err := names.Define("n")
	require.NoError(t, err)
	for _, c := range []struct{ text, want string }{
		{"", ""}, {"all", ""}, {"$remote_addr", ""}, {"a${remote_addr}b$binary_remote_addr_24_48", ""},
		{"$host", "host"}, {"x$remote_addr-${Http_X_Y}$args", "Http_X_Y"}, {"$10", "1"}, {"$remote_addr$n", "n"},
	} {
		tmpl, err := names.Compile(c.text)
		require.NoError(t, err)
		name, ok := tmpl.Beyond(RemoteAddr, BinaryRemoteAddrPrefix)
		require.Equal(t, c.want, name, c.text)
		require.Equal(t, c.want != "", ok, c.text)
	}
}

func TestEditDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"host", "host", 0}, {"hots", "host", 1},
		{"kitten", "sitting", 3}, {"ca", "abc", 3}, {"status", "state", 2},
	} {
		require.Equal(t, c.want, EditDistance(c.a, c.b), fmt.Sprintf("%s %s", c.a, c.b))
	}
}

// Compile neither panics nor accepts a text that it then renders with a "$" that no value brought.
func FuzzCompile(f *testing.F) {
	f.Add(CombinedText)
	f.Add("$scheme://${host}:$server_port$request_uri")
	f.Add("$10${1}$name$http_x_y$arg_A")
	f.Add("${host")
	f.Add("$$\x00")
	f.Fuzz(func(t *testing.T, text string) {
		tmpl, err := Compile(text)
		logged, errLog := CompileLog(text, EscapeDefault)
		if (err == nil) != (errLog == nil) {
			t.Fatalf("Compile says %v, CompileLog says %v", err, errLog)
		}
		if err != nil {
			return
		}
		for _, got := range [][]byte{tmpl.Append(nil, sample), logged.Append(nil, sample)} {
			for _, c := range got {
				if c == '$' {
					t.Fatalf("%q renders as %q", text, got)
				}
			}
		}
		if constant, ok := tmpl.Constant(); ok && constant != text {
			t.Fatalf("%q is constant %q", text, constant)
		}
	})
}
