// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package zonekey

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Keys as people read and write them: the addresses that variables such as $binary_remote_addr hold in 4 or 16 bytes as addresses,
// everything else as a Go string literal. What Text writes, Parse reads.

// isBinary says whether a key's template is one variable that holds an address in binary form.
func isBinary(template string) bool {
	name := strings.TrimPrefix(template, "$")
	if inner, ok := strings.CutPrefix(name, "{"); ok {
		name = strings.TrimSuffix(inner, "}")
	}
	return len(name) < len(template) && strings.HasPrefix(name, "binary_") && !strings.ContainsAny(name, "$ {}")
}

// Text is a key for people, template being what it was made from.
func Text(template string, key []byte) string {
	if isBinary(template) {
		if addr, ok := netip.AddrFromSlice(key); ok {
			return addr.String()
		}
	}
	return strconv.Quote(string(key))
}

// Parse is the inverse of Text. A text that is neither an address nor quoted stands for itself.
func Parse(template, text string) ([]byte, error) {
	if strings.HasPrefix(text, `"`) {
		key, err := strconv.Unquote(text)
		if err != nil {
			return nil, fmt.Errorf("key %s: not a quoted string", text)
		}
		return []byte(key), nil
	}
	if isBinary(template) {
		if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
			return addr.AsSlice(), nil
		}
	}
	return []byte(text), nil
}
