// SPDX-License-Identifier: AGPL-3.0-or-later

package guard

import (
	"sync"
	"time"
)

// scanner looks for the holders of terminals. A look at every descriptor of
// the host costs the same for one terminal and for a hundred: sessions that
// begin while one look is under way share the next, so that five hundred
// logins at once wait for two looks and not for five hundred.
type scanner struct {
	mu      sync.Mutex
	next    *scan // gathers terminals until it begins
	running bool
}

// scan is one look, for all the terminals in want.
type scan struct {
	want     wanted
	limit    time.Duration // the shortest of those who asked
	found    []hold
	complete bool
	done     chan struct{}
}

// look returns who holds the terminals in want. It begins after it is called:
// what was opened before is seen.
func (sc *scanner) look(want wanted, limit time.Duration) *scan {
	sc.mu.Lock()
	if sc.next == nil {
		sc.next = &scan{want: wanted{}, limit: limit, done: make(chan struct{})}
	}
	mine := sc.next
	mine.limit = min(mine.limit, limit)
	for tty, s := range want {
		mine.want[tty] = s
	}
	if !sc.running {
		sc.running = true
		go sc.run()
	}
	sc.mu.Unlock()
	<-mine.done
	return mine
}

func (sc *scanner) run() {
	for {
		sc.mu.Lock()
		now := sc.next
		sc.next = nil
		sc.running = now != nil
		sc.mu.Unlock()
		if now == nil {
			return
		}
		now.found, now.complete = holders(now.want, time.Now().Add(now.limit))
		close(now.done)
	}
}
