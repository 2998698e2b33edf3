// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

// everything has every key at another value than its default.
const everything = `
daemon = true
worker_processes = 3
worker_connections = 100
worker_rlimit_nofile = 12345
worker_priority = -5
worker_shutdown_timeout = 0
reload_timeout = "1m30s"
upgrade_timeout = "40s"
upgrade_hold = "1m"
max_generations = 2
user = { name = "www", group = "web" }
pid = "/run/p"
control = ""
state_path = ""
shared_mutex = "flock"
accept_mutex = true
accept_mutex_delay = "1s"
stop_signal = "graceful"
error_log = { path = "logs/e.log", level = "crit", format = "json", also = ["stderr", { path = "syslog:server=192.0.2.1,tag=w", level = "info" }] }
[buffers]
size = "32k"
reserve = 3
limit = 100
maxrewrite = 2000
splice = false
temp_path = "/var/t"
temp_quota = 0
[http]
` + everyFileSetting + `keepalive_timeout = "500ms"
keepalive_requests = 0
keepalive_time = "1d"
keepalive_disable = ["safari", "msie6"]
client_header_timeout = 5
client_body_timeout = "1h 30m"
send_timeout = "1w"
limit_rate = "${arg_rate}"
limit_rate_after = "10k"
client_body_buffer_size = "128k"
client_max_body_size = 0
client_body_in_file_only = "clean"
client_header_buffer_size = 1025
large_client_header_buffers = { number = 1, size = "32k" }
connection_pool_size = 256
request_pool_size = "8k"
lingering_close = false
lingering_time = 0
lingering_timeout = 0
error_log = ["e1.log", { path = "e2.log", level = "info" }]
open_log_file_cache = { max = 9, inactive = "1s", valid = 0, min_uses = 3 }
access_log = ["a.log", "$host.log", { path = "stderr", format = "m", buffer = "32k", flush = "1s", if = "$status" }]
server_tokens = false
proxy_connect_timeout = "1s"
proxy_read_timeout = "2s"
proxy_send_timeout = "3s"
proxy_buffering = false
proxy_buffers = { number = 4, size = "4k" }
proxy_buffer_size = "32k"
proxy_busy_buffers_size = "9k"
proxy_max_temp_file_size = "100m"
proxy_temp_file_write_size = "64k"
proxy_limit_rate = 1000
proxy_ignore_headers = ["X-Accel-Buffering", "vary"]
proxy_request_buffering = false
proxy_http_version = 1.0
proxy_set_header = [{ name = "X", value = "1" }, { name = "X", value = "\"\\\t$host é" }]
proxy_hide_header = "A"
proxy_pass_header = ["B", "C"]
proxy_redirect = ["default", { from = "http://$host/", to = "/" }]
proxy_next_upstream = "off"
proxy_next_upstream_tries = 2
proxy_next_upstream_timeout = "10s"
proxy_intercept_errors = true
proxy_ignore_client_abort = true
proxy_method = "$request_method"
proxy_set_body = ""
proxy_pass_request_body = false
proxy_pass_request_headers = false
proxy_pass_trailers = true
proxy_force_ranges = true
proxy_cookie_domain = [{ from = "a", to = "$host" }, { from = "~\\.(b)$", to = "$1" }]
proxy_cookie_path = { from = "~*^/x", to = "/" }
proxy_cookie_flags = [{ cookie = "a", flags = ["Secure", "$arg_f"] }, { cookie = "~$", flags = "nosamesite" }]
proxy_bind = { address = "[::1]:80", transparent = true }
proxy_socket_keepalive = true
proxy_protocol = "v2"
error_page = [{ codes = 404, uri = "https://x/$uri", response = 301 }, { codes = [502, 503], text = "away", response = 200 }]
add_header = { "X" = { value = "", always = true } }
log_format = { m = "$host", "j k" = { format = "{}", escape = "none" } }
limit_conn = [{ zone = "b-2", max = 65535 }, { zone = "a", max = 1 }]
limit_conn_status = 429
limit_conn_log_level = "info"
limit_conn_dry_run = true
limit_conn_bypass = ["10.1.2.3", "10.0.0.0/8", "2001:db8::/32", "::ffff:192.0.2.0/120", "0.0.0.0/0", "::"]
limit_req = [{ zone = "r", burst = 5, delay = 3 }, { zone = "s", burst = 1, nodelay = true }]
limit_req_status = 429
limit_req_log_level = "warn"
limit_req_dry_run = true
limit_retry_after = true
rewrite_log = true
uninitialized_variable_warn = false
recursive_error_pages = true
absolute_redirect = false
port_in_redirect = false
server_name_in_redirect = true
merge_slashes = false
keepalive_header_timeout = "20s"
reset_timedout_connection = true
msie_padding = false
msie_refresh = true
chunked_transfer_encoding = false
add_header_inherit = "merge"
add_trailer = { "X" = { value = "$status", always = true }, "Y" = "z" }
add_trailer_inherit = "off"
early_hints = ["$http_x", "1"]
sub_filter = [{ string = "a$host", replacement = "" }, { string = "b", replacement = "$host" }]
sub_filter_once = false
sub_filter_types = ["text/css", "*"]
sub_filter_last_modified = true
gunzip = true
add_before_body = "/a"
add_after_body = "/c"
addition_types = "*"
source_charset = "koi8-r"
override_charset = true
charset_map = [{ from = "koi8-r", to = "utf-8", value = { "80" = "E282AC", "C1" = "D0B0" } }]
ignore_invalid_headers = false
underscores_in_headers = true
max_headers = 7
random_index = true
valid_referers = ["none", "*.example.com", "~^a"]
secure_link = "$arg_md5,$arg_expires"
secure_link_md5 = "$secure_link_expires$uri"
modern_browser = ["msie 5.5", "unlisted"]
ancient_browser = "Lynx"
modern_browser_value = "new"
ancient_browser_value = "old"
access = ["allow 10.0.0.0/8", "allow unix:", "allow 2001:db8::1", "deny all"]
satisfy = "any"
auth_basic = "who is $remote_addr"
auth_basic_user_file = "htpasswd"
auth_delay = "1s"
auth_request = "/auth"
auth_request_set = { user = "$upstream_http_x_user" }
mirror = ["/mirror"]
mirror_request_body = false
log_subrequest = true
set_real_ip_from = ["proxy.example", "10.0.0.0/8", "unix:"]
real_ip_header = "proxy_protocol"
real_ip_recursive = true
resolver = { addresses = ["127.0.0.1", "[::1]:5353", "dns.example"], valid = "7s", ipv4 = false }
resolver_timeout = "9s"
[http.map.mapped]
source = "$http_x"
value = [{ name = "a", value = "1" }, { name = "~(?<mapgroup>b)", value = "$mapgroup" }]
default = "$host"
hostnames = true
volatile = true
[http.geo."placed"]
source = "$http_x"
value = { "10.0.0.1-10.0.0.3" = "$" }
default = "d"
delete = "10.0.0.2-10.0.0.2"
ranges = true
proxy = "10.0.0.0/8"
proxy_recursive = true
[http.split_clients.parted]
source = "$mapped$placed"
value = { "0.5%" = "$host", "*" = "" }
[http.limit_req_zone]
r = { key = "$remote_addr", size = "1m", rate = "30r/m" }
s = { key = "$host", size = "1m", rate = "1000r/s" }
[http.limit_conn_zone]
a = { key = "$binary_remote_addr_24_48", size = 32768, on_full = "allow" }
b-2 = { key = "$host$http_x", size = "4095m" }
[http.upstream.address]
ip_hash = true
server = "localhost"
[http.upstream.least]
least_conn = true
server = "localhost"
[http.upstream.named]
health_check = { interval = "1s", jitter = "1ms", timeout = "2s", type = "tcp", port = 1, passes = 2, fails = 3, mandatory = true }
resolver = "localhost"
resolver_timeout = "1s"
server = [{ address = "a.example", resolve = true, service = "http" }, { address = "b.example:81", resolve = true }]
[http.upstream.hashed]
hash = { key = "$uri", consistent = true }
server = "localhost"
[http.upstream.sticky]
sticky = { cookie = "c", expires = "max", domain = "$host", path = "/", httponly = true, secure = true, samesite = "none" }
server = { address = "localhost", drain = true, slow_start = "30s", route = "a" }
[http.upstream.routes]
sticky = { route = "$arg_route" }
server = "localhost"
[http.upstream.random]
random = "two"
server = "localhost"
[http.upstream."A.b"]
keepalive = 0
keepalive_requests = 1
keepalive_timeout = "1ms"
keepalive_time = "2ms"
keepalive_total = 5
queue = { size = 1, timeout = "1s" }
server = ["unix:a.sock", { address = "[::1]", weight = 2, max_conns = 5, max_fails = 0, fail_timeout = 0, down = true }, { address = "localhost:81", backup = true }]
[[http.server]]
try_files = ["/x", "=404"]
listen = [8000, { address = "[::]:8000", backlog = 1, reuseport = true, default_server = true, ipv6only = false, rcvbuf = "1k", sndbuf = 1000, so_keepalive = "30m::10", deferred = true, fastopen = 7, bind = true, proxy_protocol = true, limit_conn = { zone = "a", max = 2 }, limit_conn_bypass = "::1" }, "unix:b.sock"]
server_name = ["a.example", "~^(?<who>.)\\.b$"]
return = { code = 444 }
proxy_redirect = "off"
lingering_close = "always"
proxy_next_upstream = ["http_500", "non_idempotent", "error"]
limit_conn = []
limit_conn_bypass = []
rewrite = [
  { set = "$x", value = "" }, { set = "$args", value = "$x" }, { break = true },
  { regex = "^/(a)", replacement = "/b/$1?", flag = "last" }, { regex = "^/(?<part>[a-z]++)", replacement = "https://$part" },
  { if = "$http_x !~* ^(a|b)$", rewrite = [{ return = { code = 403 } }] }, { if = "-f /x/$uri" }, { if = "$x = " },
]
[[http.server.location]]
path = "~* \\.x$"
proxy_pass = "http://A.b"
rewrite = [{ if = "$x", rewrite = [{ regex = "a", replacement = "/b", flag = "break" }], proxy_pass = "http://address", keepalive_requests = 7, add_header = { A = "b" }, access_log = false }]
limit_except = { methods = ["GET", "POST"], proxy_pass = "http://least", access = ["deny all"] }
internal = true
return = { code = 200, text = "$who" }
[[http.server.location.location]]
path = "~ [a-z](?=9)"
keepalive_requests = 8
[[http.server.location.location.location]]
path = "~ y"
[[http.server.location]]
path = "=/y"
proxy_pass = "http://unix:c.sock:/z?q"
[[http.server.location]]
path = "^~ /z"
proxy_pass = "HTTP://[::1]:90?x"
error_page = { codes = 500, uri = "@n" }
[[http.server.location]]
path = "@n"
proxy_pass = "http://localhost"
limit_conn = { zone = "a", max = 3 }
limit_conn_status = 400
[[http.server.location]]
path = "= /gif"
alias = "/srv/x"
try_files = ["$uri", "@n"]
empty_gif = true
[[http.server.location]]
path = "= /status"
worker_shutdown_timeout = "10m"
stub_status = true
[[http.server]]
secure_link = ""
secure_link_md5 = ""
secure_link_secret = "word"
listen = { address = "127.0.0.1:8000", so_keepalive = false }
proxy_set_header = {}
`
