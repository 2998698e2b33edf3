// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package convert

import (
	"slices"
	"strings"
)

// rule is how a directive is converted whose key has another name or form than the directive.
type rule struct {
	convert func(*converter, *level, *directive)
	differs string // for the table of directives: what weir does otherwise; "" when it is the same
}

// rules are the rules outside of an upstream. One without a function only says what differs.
func rules() map[string]rule {
	return map[string]rule{
		"daemon":         {differs: "where a service manager waits for word of weir (`NOTIFY_SOCKET`), it stays in the foreground"},
		"master_process": {(*converter).masterProcess, "there is always a master; with `off` it runs one worker"},
		"pid":            {(*converter).pid, ""}, "worker_priority": {(*converter).workerPriority, ""},
		"user":                  {(*converter).user, ""},
		"error_log":             {(*converter).errorLog, "not to memory"},
		"events":                {(*converter).events, ""},
		"http":                  {(*converter).httpBlock, ""},
		"server":                {(*converter).server, ""},
		"location":              {(*converter).location, ""},
		"set":                   {(*converter).setVariable, ""},
		"rewrite":               {(*converter).rewrite, ""},
		"break":                 {(*converter).breaks, ""},
		"if":                    {(*converter).ifBlock, ""},
		"limit_except":          {(*converter).limitExcept, ""},
		"map":                   {(*converter).mapBlock, ""},
		"geo":                   {(*converter).geoBlock, ""},
		"split_clients":         {(*converter).splitBlock, ""},
		"upstream":              {(*converter).upstream, ""},
		"listen":                {(*converter).listen, "without `ssl`, `http2`, `quic`, `setfib`, `accept_filter`; `localhost` is 127.0.0.1 only"},
		"server_name":           {(*converter).serverName, "`$hostname` is replaced when the configuration is read"},
		"return":                {(*converter).returns, ""},
		"stub_status":           {(*converter).stubStatus, ""},
		"error_page":            {(*converter).errorPage, ""},
		"add_header":            {(*converter).addHeader, ""},
		"access_log":            {(*converter).accessLog, "without `gzip`"},
		"modern_browser":        {(*converter).modernBrowser, ""},
		"open_log_file_cache":   {(*converter).openLogFileCache, ""},
		"log_format":            {(*converter).logFormat, ""},
		"keepalive_timeout":     {(*converter).keepaliveTimeout, ""},
		"server_tokens":         {(*converter).serverTokens, "`build` is `on`"},
		"limit_conn_zone":       {(*converter).limitConnZone, ""},
		"limit_conn":            {(*converter).limitConn, ""},
		"limit_req_zone":        {(*converter).limitReqZone, ""},
		"limit_req":             {(*converter).limitReq, ""},
		"proxy_redirect":        {(*converter).proxyRedirect, ""},
		"proxy_next_upstream":   {(*converter).proxyNextUpstream, ""},
		"proxy_cookie_domain":   {(*converter).proxyCookie, ""},
		"proxy_cookie_path":     {(*converter).proxyCookie, ""},
		"proxy_cookie_flags":    {(*converter).proxyCookieFlags, ""},
		"proxy_bind":            {(*converter).proxyBind, "a kept connection is used again only for requests with the same address"},
		"proxy_temp_path":       {(*converter).tempPath, "one folder for all temporary files, without levels"},
		"client_body_temp_path": {(*converter).tempPath, "one folder for all temporary files, without levels"},
		"allow":                 {(*converter).accessRule, ""}, "deny": {(*converter).accessRule, ""},
		"auth_basic_user_file": {(*converter).passwordFile, "read again when it changes, not for each request"},
		"auth_request_set":     {(*converter).authRequestSet, ""},
		"mirror":               {(*converter).mirror, ""},
		"set_real_ip_from":     {(*converter).trustedPeer, "a host that cannot be resolved is a warning"},
		"types":                {(*converter).types, ""},
		"expires":              {(*converter).expires, ""},
		"disable_symlinks":     {(*converter).disableSymlinks, ""},
		"add_trailer":          {(*converter).addHeader, ""},
		"sub_filter":           {(*converter).subFilter, ""},
		"charset_map":          {(*converter).charsetMap, ""},
		"add_before_body":      {differs: "of at most 64k; `sub_filter` and `charset` of the answer hold for what is added too, its own do not"},
		"add_after_body":       {differs: "of at most 64k; `sub_filter` and `charset` of the answer hold for what is added too, its own do not"},
		"early_hints":          {(*converter).earlyHints, "without it, early hints are passed on"},

		"health_check":            {(*converter).healthCheck, "without gRPC; a check has 5 s in all; `Host` is the group's name"},
		"match":                   {(*converter).match, "without `require`"},
		"resolver":                {(*converter).resolver, "without `status_zone`"},
		"proxy_pass":              {differs: "`http://` only"},
		"proxy_pass_request_body": {differs: "a request without its body has no Content-Length"},
		"proxy_ignore_headers":    {differs: "what is about nginx's cache has no effect"},
		"proxy_http_version":      {differs: "without 2; the default is 1.1, as in nginx since 1.29.7"},
		"proxy_buffer_size":       {differs: "the default is 16k, and it makes all of a worker's blocks as large"},
		"proxy_buffers":           {differs: "the default is 8 of 16k"},
	}
}

// upstreamRules are the rules in an upstream.
func upstreamRules() map[string]rule {
	return map[string]rule{
		"server":    {(*converter).origin, ""},
		"hash":      {(*converter).hash, ""},
		"random":    {(*converter).random, ""},
		"resolver":  {(*converter).resolver, "without `status_zone`"},
		"keepalive": {(*converter).keepalive, "with `local` too, all locations use the connections that are kept"},
		"queue":     {(*converter).queue, ""},
		"zone":      {(*converter).groupZone, "without effect: all workers share the state of all groups, whatever the size"},
		"sticky":    {(*converter).sticky, "without `learn`"},
	}
}

// isNginx says whether a key of the schema is a directive of nginx, and not one of weir's own.
func isNginx(name string) bool { return len(masks(name)) > 0 || slices.Contains(recent, name) }

// recent are directives of nginx that are newer than the parser's tables.
var recent = []string{"max_headers", "add_header_inherit", "add_trailer_inherit"}

// harmless are the arguments with which a directive asks for what weir does anyway.
var harmless = map[string][]string{
	"absolute_redirect":       {"on"},
	"http2":                   {"off"},
	"http3":                   {"off"},
	"limit_rate":              {"0"},
	"limit_rate_after":        {"0"},
	"merge_slashes":           {"on"},
	"port_in_redirect":        {"on"},
	"proxy_cache":             {"off"},
	"proxy_limit_rate":        {"0"},
	"proxy_store":             {"off"},
	"recursive_error_pages":   {"off"},
	"server_name_in_redirect": {"off"},
	"ssi":                     {"off"},
	"ssl":                     {"off"},
}

// changesNothing says whether a directive asks for what weir does anyway.
func changesNothing(d *directive) bool {
	return slices.Contains(harmless[d.name], strings.Join(d.args, " "))
}

// Reasons why a directive has no effect.
const (
	insides     = "it is about nginx's insides"
	eachAttempt = "what is made for an attempt with an origin is made anew for the next one"
	noModule    = "what the module's directives do is said where they stand"
)

// inert are the directives without which weir does the same.
var inert = map[string]string{
	"accept_mutex": insides, "accept_mutex_delay": insides, "aio": insides, "aio_write": insides, "connection_pool_size": insides,
	"client_body_in_single_buffer": "$request_body always is the whole body", "debug_connection": insides,
	"debug_points": insides, "directio": insides, "directio_alignment": insides, "env": insides, "load_module": noModule, "lock_file": insides,
	"map_hash_bucket_size": insides, "map_hash_max_size": insides, "referer_hash_bucket_size": insides, "referer_hash_max_size": insides, "multi_accept": insides, "output_buffers": insides,
	"pcre_jit": insides, "postpone_output": insides, "proxy_headers_hash_bucket_size": insides, "proxy_headers_hash_max_size": insides,
	"proxy_send_lowat": insides, "read_ahead": insides, "request_pool_size": insides, "send_lowat": insides, "sendfile": insides,
	"sendfile_max_chunk": insides, "server_names_hash_bucket_size": insides, "server_names_hash_max_size": insides, "subrequest_output_buffer_size": insides,
	"tcp_nodelay": insides, "tcp_nopush": insides, "thread_pool": insides, "timer_resolution": insides, "types_hash_bucket_size": insides,
	"types_hash_max_size": insides, "use": insides, "variables_hash_bucket_size": insides, "variables_hash_max_size": insides,
	"worker_aio_requests": insides, "worker_cpu_affinity": insides, "worker_rlimit_core": insides,
	"working_directory": insides,

	"keepalive_min_timeout": "idle connections are handed over to new workers, not closed",
	"proxy_bind_dynamic":    eachAttempt, "proxy_request_dynamic": eachAttempt,
	"gzip_buffers": insides, "gunzip_buffers": insides,
}

// families are the prefixes of directives that do nothing without another one, which is refused.
var families = []struct{ prefix, why string }{
	{"open_file_cache", insides},
	{"ssl_", "TLS is refused where a listen asks for it"},
	{"proxy_ssl_", "https:// in proxy_pass is refused"},
	{"proxy_cache", "proxy_cache is refused"}, {"proxy_no_cache", "proxy_cache is refused"}, {"proxy_store_", "proxy_store is refused"}, {"ssi_", "ssi is refused"},
	{"dav_access", "dav_methods is refused"}, {"create_full_put_path", "dav_methods is refused"}, {"min_delete_depth", "dav_methods is refused"}, {"mp4_", "mp4 is refused"},
	{"http2_", "http2 is refused"}, {"http3_", "http3 is refused"}, {"quic_", "quic is refused"},
	{"fastcgi_", "fastcgi_pass is refused"}, {"uwsgi_", "uwsgi_pass is refused"}, {"scgi_", "scgi_pass is refused"},
	{"grpc_", "grpc_pass is refused"}, {"memcached_", "memcached_pass is refused"},
}

// effectless says why a directive of nginx has no effect; "" when it would have one.
func effectless(name string) string {
	if why := inert[name]; why != "" {
		return why
	}
	if handlers[name] || refusals[name] != "" || len(masks(name)) == 0 {
		return ""
	}
	for _, f := range families {
		if strings.HasPrefix(name, f.prefix) {
			return f.why
		}
	}
	return ""
}

// refusals are reasons that say more than "not possible in this version".
var refusals = map[string]string{
	"fastcgi_pass": "not possible: weir speaks HTTP with origins only", "uwsgi_pass": "not possible: weir speaks HTTP with origins only",
	"scgi_pass": "not possible: weir speaks HTTP with origins only", "grpc_pass": "not possible: weir speaks HTTP/1.1 with origins only", "memcached_pass": "not possible: weir speaks HTTP with origins only",
	"stream": "not possible: weir is a proxy for HTTP", "mail": "not possible: weir is a proxy for HTTP",
	"proxy_cache": "not possible: there is no cache in this version",
	"ssl":         "not possible: there is no TLS in this version",
}

// handlers are the directives of nginx's that answer a request, or hold what does.
var handlers = map[string]bool{
	"root": true, "alias": true, "try_files": true, "fastcgi_pass": true, "uwsgi_pass": true, "scgi_pass": true, "grpc_pass": true,
	"memcached_pass": true, "rewrite": true, "if": true, "proxy_pass": true, "return": true, "empty_gif": true, "autoindex": true, "dav_methods": true, "flv": true,
	"location": true, "mp4": true, "perl": true, "random_index": true, "stub_status": true, "api": true, "internal": true,
}

// guards are the directives that keep somebody out.
var guards = map[string]bool{
	"deny": true, "auth_basic": true, "auth_request": true, "auth_jwt": true, "satisfy": true, "limit_except": true, "internal": true,
	"valid_referers": true, "secure_link": true, "limit_conn": true, "limit_req": true, "limit_conn_zone": true, "limit_req_zone": true,
}
