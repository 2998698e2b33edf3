// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

// runRules applies the rules of a server or location, in their order.
func (r *Request) runRules(rules *Rules) (v verdict, pass bool) {
	for i := range rules.List {
		if rule := &rules.List[i]; rule.Return != nil {
			return r.answerReturn(rule.Return), false
		}
	}
	return again, true
}
