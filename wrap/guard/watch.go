// SPDX-License-Identifier: AGPL-3.0-or-later

package guard

import (
	"context"
	"time"
)

// The watch looks again, for as long as there are sessions: at whether they were
// stopped, and at who is below a recorder, where nothing else bounds its session.
const watchEvery = 5 * time.Second

// watchShare is the part of a processor that a look takes: a fiftieth.
const watchShare = 50

func (g *Guard) watch(ctx context.Context) {
	for _, look := range []func(){g.unstop, g.noteAll} {
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

// unbound says that a session has nothing but descent to bound it.
func (g *Guard) unbound() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.sessions {
		if s.scope.seen != nil {
			return true
		}
	}
	return false
}

// noteAll takes its time for a host with many processes, and keeps nobody from
// logging in meanwhile.
func (g *Guard) noteAll() {
	if !g.unbound() {
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
