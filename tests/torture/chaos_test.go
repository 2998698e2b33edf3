// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package torture

import (
	"math/rand/v2"
	"os"
	"syscall"
	"time"
)

// chaos kills workers, has the config loaded again, the binary started anew, the logs reopened, and looks at the zones.
func (w *world) chaos(rng *rand.Rand) {
	p := w.proxy
	for !w.ended() {
		time.Sleep(time.Duration(rng.IntN(400)) * time.Millisecond)
		switch rng.IntN(8) {
		case 0, 1, 2:
			if list := p.workers(); len(list) > 0 {
				p.killed.Add(1)
				_ = syscall.Kill(list[rng.IntN(len(list))], syscall.SIGKILL)
			}
		case 3, 4:
			p.order("/reload")
		case 5:
			p.order("/upgrade")
		case 6:
			_ = os.Rename(p.path("logs/access.log"), p.path("logs/access.moved"))
			p.order("/reopen")
		case 7:
			p.check(w)
		}
	}
}
