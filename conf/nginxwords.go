// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// nginxWords is what nginx says where weir says something else: who looks for faults in what nginx -t writes goes by that. The first that fits holds; a
// directive in front makes it one of that directive only.
const nginxWords = `
	unknown variable "\$(\w+)"                                           unknown "$1" variable
	"\$" at byte \d+ is not followed by a variable's name.*              invalid variable name
	the closing brace of "\$\{(\w*).* is missing                         the closing bracket in "$1" variable is missing
	must be a variable such as "\$x", not (".*")                         invalid variable name $1
	a variable needs a name                                              invalid variable name "$$"
	variable "\$(\w+)" exists already                                    the duplicate "$1" variable

	regular expression (".*?"): (.*?)(?:: ".*")?$                        pcre2_compile() failed: $2 in $1
	error parsing regexp: (.*): .(.*).$                                  pcre2_compile() failed: $1 in "$2"
	invalid referer ".*": regular expression (".*?"): (.*?)(?:: ".*")?$  pcre2_compile() failed: $2 in $1

	listen: (".*"): a port is a number from.*                            invalid port in $1 of the "listen" directive
	resolver: (".*"): a port is a number from.*                          invalid port in resolver $1
	(".*"): a port is a number from.*                                    invalid port in upstream $1
	listen: (".*") is not an address such as.*                           invalid host in $1 of the "listen" directive
	(".*") is not an address such as.*                                   invalid host in upstream $1
	listen: "unix:" needs the path of a socket                           no path in the unix domain socket in "unix:" of the "listen" directive
	"unix:" needs the path of a socket                                   no path in the unix domain socket in upstream "unix:"
	listen: must be true, false, or "idle.*, not (".*")                  invalid so_keepalive value: $1
	duplicate listen "(.*)"                                              a duplicate listen $1
	a second default_server for (.*)                                     a duplicate default server for $1
	the options for (\S+) are not those of .*: write them once           duplicate listen options for $1
	there is none, so there is nothing to listen on                      no "server" in configuration, so there is nothing to listen on

	proxy_pass: upstream (".*") cannot have a port \(:(\d+)\).*          upstream $1 may not have port $2
	proxy_pass: must begin with "http://".*                              invalid URL prefix
	proxy_pass: "https?://(.*)" names no address                         no host in upstream "$1"
	proxy_pass: cannot have a path in .*                                 "proxy_pass" cannot have URI part in location given by regular expression, or inside named location, or inside "if" statement, or inside "limit_except" block
	proxy_bind: must be an IP address.*, not (".*")                      invalid address $1
	"default" does not go together with variables in proxy_pass          "proxy_redirect default" cannot be used with "proxy_pass" directive with variables
	upstream: needs the key "server"                                     no servers are inside upstream
	server: needs one that is not a backup                               no servers in upstream

	duplicate location "(?:(?:=|\^~|~\*?) )?(.*)"                        duplicate location "$1"
	location: (".*") is outside location (".*")                          location $1 is outside location $2
	location: cannot be inside the exact location "= (.*)"               location cannot be inside the exact location "$1"
	location: cannot be inside the named location (".*")                 location cannot be inside the named location $1
	a named location can be in a server only                             named location can be on the server level only
	alias: cannot stand beside root                                      "alias" directive is duplicate, "root" directive was specified earlier
	alias: cannot be used inside of a named location                     the "alias" directive cannot be used inside the named location

	rewrite: must be "last", .*, not ("[^"]*").*                         invalid parameter $1
	rewrite: must not be empty                                           empty replacement
	sub_filter: must not be empty                                        empty search pattern
	return: must be at \w+ \d+, not (\d+)                                invalid return code "$1"
	error_page: must be a whole number, not "(.*)"                       invalid value "=$1"
	if: must begin with a variable, .*, not (".*")                       invalid condition $1
	unexpected (".*"): a variable is followed by.*                       unexpected $1 in condition

	(".*") is no address, no network.*                                   invalid parameter $1
	"(.*)" is the network \S+: the bits .*                               low address bits of $1 are meaningless
	must be an address or a network such as .*, not (".*")               invalid network $1
	the parts are more than 100%                                         percent total is greater than 100%

	no zone ("[^"]*")                                                    zero size shared memory zone $1
	zone ("[^"]*") exists already                                        the shared memory zone $1 is already declared for a different use
	limit_conn: zone ".*" is in this list already                        "limit_conn" directive is duplicate
	limit_req: zone ".*" is in this list already                         "limit_req" directive is duplicate
	must be a rate such as .*, not "(.*)"                                invalid rate "rate=$1"
	must be within 1 and 1000000 requests                                invalid rate

	log format (".*") exists already                                     duplicate "log_format" name $1
	log_format: must be "default", .*, not (".*?")                       unknown log format escaping $1
	error_log: must be "debug", .*, not ("[^"]*")                        invalid log level $1
	expires: must be .*                                                  "expires" directive invalid value
	disable_symlinks: must be .*, not (".*?")                            invalid parameter $1
	must be "[^"]*"(?:,| or) .*, not ("[^"]*").*                         invalid value $1 ($0)
`

// inNginxWords is a text about a directive in the words that nginx has for it; false: it has none. It is for faults, which are few: nothing is kept.
func inNginxWords(directive, text string) (string, bool) {
	for line := range strings.Lines(nginxWords) {
		pattern, words, ok := strings.Cut(strings.TrimSpace(line), "  ")
		if !ok {
			continue
		}
		if of, rest, ok := strings.Cut(pattern, ": "); ok && !strings.ContainsAny(of, ` "(`) {
			if of != directive {
				continue
			}
			pattern = rest
		}
		if re := regexp.MustCompile("^" + pattern); re.MatchString(text) {
			return re.ReplaceAllString(text, strings.TrimSpace(words)), true
		}
	}
	return text, false
}

// sentence is a text about a directive as one that says so: many are what is said of a key of TOML, whose name stands before them.
func sentence(directive, text string) string {
	if words, ok := inNginxWords(directive, text); ok {
		return words
	}
	verb, _, _ := strings.Cut(text, " ")
	switch {
	case directive == "" || strings.Contains(text, `"`+directive+`"`):
		return text
	case slices.Contains([]string{"must", "needs", "cannot", "is", "has", "does", "goes"}, verb):
		return fmt.Sprintf("%q directive %s", directive, text)
	case verb == "not":
		return fmt.Sprintf("%q directive is %s", directive, text)
	}
	return text
}
