// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

// JudgeSettings are the settings of variables that say what is to be thought of a request, for rules to act on.
type JudgeSettings struct {
	// Fields Referer for which $invalid_referer is empty; for others it is "1": "none" (there is no such field), "blocked" (it does not begin with "http://" or "https://"),
	// "server_names" (the server's own), names of hosts with "*." in front or ".*" behind and perhaps the beginning of a path, and behind "~" a regular expression for
	// what follows the scheme.
	ValidReferers []string `toml:"valid_referers" example:"['none', 'blocked', 'server_names', '*.example.com', '~\\.google\\.']"`

	// Checksum of a link, and behind a comma the time until which it is good, in seconds since 1970: as the request has them. With secure_link_md5.
	SecureLink Template `toml:"secure_link" example:"$arg_md5,$arg_expires"`

	// Text whose MD5, in base64url, the checksum has to be for $secure_link to be "1", or "0" when the time is over. Otherwise that is empty.
	SecureLinkMD5 Template `toml:"secure_link_md5" example:"$secure_link_expires$uri$remote_addr secret"`

	// Word with which the checksum of a link "/prefix/checksum/link" is made: $secure_link is the link if the checksum is right. "": links are not made this way.
	SecureLinkSecret string `toml:"secure_link_secret" example:"secret"`

	// AroundLinks are secure_link, secure_link_md5 and secure_link_secret as the level around this one has them, until this level is complete.
	AroundLinks [3]string `toml:"-"`

	// Browsers that are modern from a version on, "msie 5.5", of msie, gecko, opera, safari and konqueror; "unlisted": those that are not listed.
	ModernBrowser []string `toml:"modern_browser" example:"['gecko 1.0.0', 'unlisted']"`

	// Texts in the field User-Agent that make a browser an ancient one; "netscape4" stands for "^Mozilla/[1-4]".
	AncientBrowser []string `toml:"ancient_browser" example:"['Lynx', 'netscape4']"`

	// Value of $modern_browser for a modern browser.
	ModernBrowserValue string `toml:"modern_browser_value" default:"1"`

	// Value of $ancient_browser for an ancient browser.
	AncientBrowserValue string `toml:"ancient_browser_value" default:"1"`
}
