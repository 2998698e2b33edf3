// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

// A request whose origins are not known yet waits for their names to be looked up. It holds nothing but its head, and its body where that is read first.

// resolve waits for the peers of the request's group.
func (r *Request) resolve() verdict {
	if r.group.Pending() {
		if !r.nameWait.Waiting() {
			r.group.Await(&r.nameWait, &r.task)
		}
		return wait
	}
	return r.become(StatePick)
}
