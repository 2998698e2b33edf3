// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

// RewriteSettings are the settings of rules and of redirects within the server.
type RewriteSettings struct {
	// Whether what rules do is logged, at level notice.
	RewriteLog bool `toml:"rewrite_log" default:"false"`

	// Whether a warning is logged when a rule uses a variable that no rule has given a value.
	UninitializedVariableWarn bool `toml:"uninitialized_variable_warn" default:"true"`

	// Whether error_page is looked at again for the answer of an error page.
	RecursiveErrorPages bool `toml:"recursive_error_pages" default:"false"`

	// Whether redirects to a path name scheme, host and port.
	AbsoluteRedirect bool `toml:"absolute_redirect" default:"true"`

	// Whether the port is named in them where it is not the scheme's own.
	PortInRedirect bool `toml:"port_in_redirect" default:"true"`

	// Whether the host in them is the first server_name, and not the one that the request asks for.
	ServerNameInRedirect bool `toml:"server_name_in_redirect" default:"false"`
}

// Rules are the directives of nginx's rewrite module of one server or location, in their order.
type Rules []Rule

// Rule is one of them: one of the keys set, regex, if, break and return says which. One with if is a table of its own kind: see If.
type Rule struct {
	// Variable that gets a value: one of the config's own, or $args or $limit_rate. With value.
	Set string `toml:"set" example:"$backend"`

	// The value. May have variables.
	Value *Template `toml:"value" example:"$arg_to"`

	// Regular expression that the path has to match for it to be replaced. With replacement.
	Regex string `toml:"regex" as:"nginx rewrite" example:"^/old/(.*)$"`

	// The path, with or without arguments, that replaces the one of the request; one that begins with "http://", "https://" or "$scheme" is where the
	// client is sent. The arguments of the request are added unless it ends with "?". May have variables, and $1 to $9 for the groups of the expression.
	Replacement Template `toml:"replacement" example:"/new/$1"`

	// What follows a replacement: "last" looks for a location anew, "break" stays in this one; both skip the other rules. "redirect" (302) and "permanent" (301)
	// send the client there. Without a flag the rules go on, and then a location is looked for.
	Flag RewriteFlag `toml:"flag"`

	// The other rules are skipped, and the location stays.
	Break bool `toml:"break"`

	// An answer given at once.
	Return *Return `toml:"return" example:"{ code = 403 }"`

	// If is a condition with what holds while it is true; the other fields are not set then.
	If *If `toml:"-"`
}

// If is a rule with a condition: `{ if = "$request_method = POST", rewrite = [{ return = { code = 405 } }] }`. In a location it may have settings of its own, which hold for
// requests that meet the condition from there on, in the place of the location's.
type If struct {
	Settings

	// "$variable" is true unless it is empty or "0"; further "$variable = text", "!=" (both with variables in the text), "~", "!~" (a regular expression matches, or does
	// not), "~*", "!~*" (without regard to case), "-f path" (there is a file), "-d" (a directory), "-e" (either), "-x" (one that can be executed), and "!-f" and so on.
	Test Condition `toml:"if" required:"true" example:"$http_cookie ~* id=([^;]+)"`

	// What is done when it is true.
	Rules Rules `toml:"rewrite"`

	// Where requests are passed, in the place of where the location passes them; without a path.
	ProxyPass *ProxyPass `toml:"proxy_pass" example:"http://127.0.0.1:9000"`

	// Location is the location that requests are in when the condition is true: the one around it with these settings; nil in a server.
	Location *Location `toml:"-"`
}

// LimitExcept holds for requests of a location with other methods than those it names.
type LimitExcept struct {
	Settings

	// Methods that it does not hold for; GET stands for HEAD too.
	Methods []string `toml:"methods" required:"true" as:"nginx limit_except" example:"['GET', 'POST']"`

	// Where requests are passed, in the place of where the location passes them; without a path.
	ProxyPass *ProxyPass `toml:"proxy_pass" example:"http://127.0.0.1:9000"`

	// Location is the location that such requests are in: the one around it with these settings.
	Location *Location `toml:"-"`
}

// Condition is the test of an If.
type Condition struct {
	Text     string // as written
	Variable Template
	Test     Test
	Operand  Template // a text, or the path of a file
	Regex    string
}

// Test is what a condition compares, or asks for.
type Test uint8

// Tests of conditions.
const (
	TestTrue Test = iota
	TestEqual
	TestUnequal
	TestMatch
	TestMatchFold
	TestNoMatch
	TestNoMatchFold
	TestFile
	TestNoFile
	TestDirectory
	TestNoDirectory
	TestExists
	TestNotExists
	TestExecutable
	TestNotExecutable
)

func (Test) names() []string {
	return []string{"", "=", "!=", "~", "~*", "!~", "!~*", "-f", "!-f", "-d", "!-d", "-e", "!-e", "-x", "!-x"}
}

// String is the condition as written.
func (c Condition) String() string { return c.Text }

// RewriteFlag is the flag of a rule with a replacement.
type RewriteFlag uint8

// Flags of rules.
const (
	FlagNone RewriteFlag = iota
	FlagLast
	FlagBreak
	FlagRedirect
	FlagPermanent
)

func (RewriteFlag) names() []string { return []string{"", "last", "break", "redirect", "permanent"} }

// String is the flag as written.
func (f RewriteFlag) String() string { return f.names()[f] }
