// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package convert

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// modulesFile is what `weir -V` prints behind "configure arguments:".
const modulesFile = "../../cmd/master/modules.txt"

// modules are nginx's modules that a build may have or not, with the word that says so and a directive that stands for the module. Those with "without" are there unless
// configure is told otherwise.
var modules = []struct{ word, directive string }{
	{"with-http_ssl_module", "ssl_certificate"}, {"with-http_v2_module", "http2"}, {"with-http_v3_module", "http3"},
	{"with-http_realip_module", "set_real_ip_from"}, {"with-http_addition_module", "add_before_body"}, {"with-http_xslt_module", "xslt_stylesheet"},
	{"with-http_image_filter_module", "image_filter"}, {"with-http_geoip_module", "geoip_country"}, {"with-http_sub_module", "sub_filter"},
	{"with-http_dav_module", "dav_methods"}, {"with-http_flv_module", "flv"}, {"with-http_mp4_module", "mp4"}, {"with-http_gunzip_module", "gunzip"},
	{"with-http_gzip_static_module", "gzip_static"}, {"with-http_auth_request_module", "auth_request"}, {"with-http_random_index_module", "random_index"},
	{"with-http_secure_link_module", "secure_link"}, {"with-http_slice_module", "slice"}, {"with-http_stub_status_module", "stub_status"},
	{"with-http_perl_module", "perl"},

	{"without-http_charset_module", "charset"}, {"without-http_gzip_module", "gzip"}, {"without-http_ssi_module", "ssi"},
	{"without-http_userid_module", "userid"}, {"without-http_access_module", "allow"}, {"without-http_auth_basic_module", "auth_basic"},
	{"without-http_mirror_module", "mirror"}, {"without-http_autoindex_module", "autoindex"}, {"without-http_geo_module", "geo"},
	{"without-http_map_module", "map"}, {"without-http_split_clients_module", "split_clients"}, {"without-http_referer_module", "valid_referers"},
	{"without-http_rewrite_module", "rewrite"}, {"without-http_proxy_module", "proxy_pass"}, {"without-http_fastcgi_module", "fastcgi_pass"},
	{"without-http_uwsgi_module", "uwsgi_pass"}, {"without-http_scgi_module", "scgi_pass"}, {"without-http_grpc_module", "grpc_pass"},
	{"without-http_tunnel_module", "tunnel_pass"}, {"without-http_memcached_module", "memcached_pass"}, {"without-http_limit_conn_module", "limit_conn"},
	{"without-http_limit_req_module", "limit_req"}, {"without-http_empty_gif_module", "empty_gif"}, {"without-http_browser_module", "ancient_browser"},
	{"without-http_upstream_hash_module", "hash"}, {"without-http_upstream_ip_hash_module", "ip_hash"},
	{"without-http_upstream_least_conn_module", "least_conn"}, {"without-http_upstream_least_time_module", "least_time"},
	{"without-http_upstream_random_module", "random"}, {"without-http_upstream_keepalive_module", "keepalive"},
	{"without-http_upstream_zone_module", "zone"}, {"without-http_upstream_sticky_module", "sticky"}, {"without-http-cache", "proxy_cache"},
}

// TestDirectivesModules fails when modules.txt is not what the tables say.
func TestDirectivesModules(t *testing.T) {
	words, c := []string(nil), newConverter(memory{}, "nginx.conf", Options{}, nil)
	for _, m := range modules {
		state, _ := stateOf(c, m.directive)
		there := state == "done" || state == "different"
		require.NotEmpty(t, whereOf(m.directive), "%s is no directive of nginx", m.directive)
		if there == strings.HasPrefix(m.word, "with-") {
			words = append(words, "--"+m.word)
		}
	}
	text := strings.Join(words, " ") + "\n"
	if *update {
		require.NoError(t, os.WriteFile(modulesFile, []byte(text), 0o644))
		return
	}
	have, err := os.ReadFile(modulesFile)
	require.NoError(t, err)
	require.Equal(t, text, string(have), "%s is stale: run make docs", modulesFile)
}
