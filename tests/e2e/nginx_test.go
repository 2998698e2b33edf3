// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// nginxConfig writes a weir config as nginx.conf, so that the same test runs
// against both. weir's keys are nginx's directives, so most of it is mechanical.
func nginxConfig(config string) (string, error) {
	var root map[string]any
	if _, err := toml.Decode(config, &root); err != nil {
		return "", err
	}
	e := &nginxWriter{}
	e.line("user root")
	e.line("error_log stderr info")
	connections := any(int64(1024))
	for _, key := range slices.Sorted(maps.Keys(root)) {
		switch value := root[key]; key {
		case "worker_connections":
			connections = value
		case "worker_processes", "pid", "worker_shutdown_timeout":
			e.directive(key, value)
		}
	}
	e.block("events", func() { e.directive("worker_connections", connections) })
	http, _ := root["http"].(map[string]any)
	e.block("http", func() { e.http(http) })
	return e.b.String(), e.err
}

type nginxWriter struct {
	b   strings.Builder
	err error
}

func (e *nginxWriter) line(format string, args ...any) { fmt.Fprintf(&e.b, format+";\n", args...) }

func (e *nginxWriter) block(head string, body func()) {
	e.b.WriteString(head + " {\n")
	body()
	e.b.WriteString("}\n")
}

// quote renders one parameter.
func quote(value any) string {
	switch v := value.(type) {
	case bool:
		if v {
			return "on"
		}
		return "off"
	case string:
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(v) + `"`
	}
	return fmt.Sprint(value)
}

func tables(value any) []map[string]any {
	switch v := value.(type) {
	case map[string]any:
		return []map[string]any{v}
	case []map[string]any:
		return v
	case []any:
		var list []map[string]any
		for _, item := range v {
			if table, ok := item.(map[string]any); ok {
				list = append(list, table)
			}
		}
		return list
	}
	return nil
}

func (e *nginxWriter) http(http map[string]any) {
	e.line("default_type text/plain")
	e.line("server_names_hash_bucket_size 128")
	e.line("proxy_http_version 1.1")
	e.line("proxy_set_header Connection \"\"")
	for _, temp := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		e.line("%s_temp_path tmp/%s", temp, temp)
	}
	formats, _ := http["log_format"].(map[string]any)
	for name, format := range formats {
		if table, ok := format.(map[string]any); ok {
			e.line("log_format %s escape=%v %s", name, table["escape"], quote(table["format"]))
			continue
		}
		e.line("log_format %s %s", name, quote(format))
	}
	upstreams, _ := http["upstream"].(map[string]any)
	for name, u := range upstreams {
		e.block("upstream "+name, func() { e.upstream(u.(map[string]any)) })
	}
	zones, _ := http["limit_req_zone"].(map[string]any)
	for name, zone := range zones {
		z := zone.(map[string]any)
		e.line("limit_req_zone %s zone=%s:%v rate=%v", quote(z["key"]), name, z["size"], z["rate"])
	}
	e.settings(http)
	for _, server := range tables(http["server"]) {
		e.block("server", func() {
			e.settings(server)
			for _, location := range tables(server["location"]) {
				modifier, path, ok := strings.Cut(location["path"].(string), " ")
				if !ok || strings.HasPrefix(modifier, "/") {
					modifier, path = "", location["path"].(string)
				}
				e.block("location "+modifier+" "+quote(path), func() { e.settings(location) })
			}
		})
	}
}

func (e *nginxWriter) upstream(u map[string]any) {
	for _, s := range tables(u["server"]) {
		text := "server " + s["address"].(string)
		for _, key := range slices.Sorted(maps.Keys(s)) {
			switch v := s[key].(type) {
			case bool:
				if v {
					text += " " + key
				}
			default:
				if key != "address" {
					text += fmt.Sprintf(" %s=%v", key, v)
				}
			}
		}
		e.line("%s", text)
	}
	keepalive, ok := u["keepalive"]
	if !ok {
		keepalive = 32
	}
	e.line("keepalive %v", keepalive)
	for _, key := range slices.Sorted(maps.Keys(u)) {
		if key != "server" && key != "keepalive" {
			e.directive(key, u[key])
		}
	}
}

// settings writes what http, server and location have in common.
func (e *nginxWriter) settings(block map[string]any) {
	if headers, ok := block["proxy_set_header"].(map[string]any); ok && headers["Connection"] == nil {
		e.line("proxy_set_header Connection \"\"")
	}
	for _, key := range slices.Sorted(maps.Keys(block)) {
		switch key {
		case "log_format", "upstream", "server", "location", "path", "limit_req_zone":
		case "proxy_cookie_flags":
			if block[key] == false {
				e.line("%s off", key)
				continue
			}
			e.directive(key, block[key])
		default:
			e.directive(key, block[key])
		}
	}
}

// perItem names directives that are written once for every item of an array.
var perItem = []string{"listen", "proxy_hide_header", "proxy_pass_header"}

// directive writes key with any shape of value that the tests use.
func (e *nginxWriter) directive(key string, value any) {
	switch v := value.(type) {
	case []any:
		if list := tables(v); len(list) > 0 {
			e.mixed(key, v)
			return
		}
		var params []string
		for _, item := range v {
			if slices.Contains(perItem, key) {
				e.line("%s %s", key, quote(item))
				continue
			}
			params = append(params, quote(item))
		}
		if len(params) > 0 {
			e.line("%s %s", key, strings.Join(params, " "))
		}
	case []map[string]any:
		for _, item := range v {
			e.table(key, item)
		}
	case map[string]any:
		e.table(key, v)
	default:
		e.line("%s %s", key, quote(value))
	}
}

// mixed writes an array of tables and plain values, such as proxy_redirect takes.
func (e *nginxWriter) mixed(key string, items []any) {
	for _, item := range items {
		if table, ok := item.(map[string]any); ok {
			e.table(key, table)
			continue
		}
		e.line("%s %s", key, quote(item))
	}
}

// table writes a directive that weir has as an inline table.
func (e *nginxWriter) table(key string, v map[string]any) {
	switch key {
	case "proxy_set_header":
		for _, name := range slices.Sorted(maps.Keys(v)) {
			e.line("%s %s %s", key, name, quote(v[name]))
		}
	case "add_header":
		for _, name := range slices.Sorted(maps.Keys(v)) {
			value, always := v[name], ""
			if table, ok := value.(map[string]any); ok {
				value = table["value"]
				if table["always"] == true {
					always = " always"
				}
			}
			e.line("%s %s %s%s", key, name, quote(value), always)
		}
	case "limit_req":
		text := fmt.Sprintf("limit_req zone=%v", v["zone"])
		for _, parameter := range []string{"burst", "delay"} {
			if n, ok := v[parameter]; ok {
				text += fmt.Sprintf(" %s=%v", parameter, n)
			}
		}
		if v["nodelay"] == true {
			text += " nodelay"
		}
		e.line("%s", text)
	case "access_log":
		format, ok := v["format"]
		if !ok {
			format = "combined"
		}
		text := fmt.Sprintf("access_log %v %v", v["path"], format)
		for _, param := range []string{"buffer", "flush"} {
			if x, ok := v[param]; ok {
				text += fmt.Sprintf(" %s=%v", param, x)
			}
		}
		e.line("%s", text)
	case "proxy_buffers", "large_client_header_buffers":
		e.line("%s %v %v", key, v["number"], v["size"])
	case "return":
		text := ""
		for _, param := range []string{"code", "text", "url"} {
			if x, ok := v[param]; ok {
				text += " " + quote(x)
			}
		}
		e.line("return%s", text)
	case "listen":
		text := quote(v["address"])
		if v["default_server"] == true {
			text += " default_server"
		}
		e.line("listen %s", text)
	case "proxy_cookie_flags":
		text := quote(v["cookie"])
		for _, flag := range v["flags"].([]any) {
			text += " " + quote(flag)
		}
		e.line("%s %s", key, text)
	case "proxy_redirect", "proxy_cookie_domain", "proxy_cookie_path":
		e.line("%s %s %s", key, quote(v["from"]), quote(v["to"]))
	case "error_page":
		var codes []string
		list, _ := v["codes"].([]any)
		if v["uri"] == nil {
			e.err = fmt.Errorf("nginx has no text for error_page")
		}
		for _, code := range list {
			codes = append(codes, fmt.Sprint(code))
		}
		response := ""
		if x, ok := v["response"]; ok {
			response = fmt.Sprintf(" =%v", x)
		}
		e.line("error_page %s%s %s", strings.Join(codes, " "), response, quote(v["uri"]))
	default:
		e.err = fmt.Errorf("no rule for %s = %v", key, v)
	}
}
