// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package vars

// Combined is the name and CombinedText the text of the log format that is always there, nginx's.
const (
	Combined     = "combined"
	CombinedText = `$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"`
)
