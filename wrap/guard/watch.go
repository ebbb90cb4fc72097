// SPDX-License-Identifier: AGPL-3.0-or-later

package guard

import (
	"context"
	"time"
)

// The watch looks again, for as long as there are sessions: at who holds their
// terminals, since a descriptor that was hidden from the first look (on its
// way through a socket) must come out to be of use; at whether they were
// stopped; and at who is below a recorder, where nothing else bounds its
// session.
const watchEvery = 5 * time.Second

func (g *Guard) watch(ctx context.Context) {
	for _, look := range []func(){g.unstop, g.lookAgain, g.noteAll} {
		go again(ctx, look)
	}
}

// again looks every few seconds, and takes no more than a fiftieth of a
// processor with it, however many sessions or processes there are.
func again(ctx context.Context, look func()) {
	for pause := watchEvery; ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		begin := time.Now()
		look()
		pause = max(watchEvery, watchShare*time.Since(begin))
	}
}

// lookAgain only asks: the look takes the time it takes.
func (g *Guard) lookAgain() {
	if want, _ := g.watched(); len(want) > 0 {
		go g.follow(g.scanner.ask(want, nobody))
	}
}

// watched lists the terminals that were taken, and says whether a session has
// nothing but descent to bound it.
func (g *Guard) watched() (want wanted, unbound bool) {
	want = wanted{}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.sessions {
		unbound = unbound || s.scope.seen != nil
		if s.started && s.tty != (terminal{}) {
			want[s.tty] = s
		}
	}
	return want, unbound
}

// noteAll takes its time for a host with many processes, and keeps nobody from
// logging in meanwhile.
func (g *Guard) noteAll() {
	if _, unbound := g.watched(); !unbound {
		return
	}
	t, err := snapshot()
	if err != nil {
		return
	}
	for _, s := range g.bySSHD() {
		if s.noting.TryLock() { // else it has ended meanwhile, and is being swept
			s.scope.note(t, s.peer)
			s.noting.Unlock()
		}
	}
}
