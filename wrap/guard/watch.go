// SPDX-License-Identifier: AGPL-3.0-or-later

package guard

import (
	"context"
	"time"
)

// The watch looks again, for as long as there are sessions: at who holds their
// terminals, since a descriptor that was hidden from the first look (on its
// way through a socket) must come out to be of use, and at who is below a
// recorder, where nothing else bounds its session. It takes at most a
// fiftieth of one processor, however many descriptors the host has.
const (
	watchEvery = 5 * time.Second
	watchShare = 50
)

func (g *Guard) watch(ctx context.Context) {
	pause := watchEvery
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		begin := time.Now()
		g.look()
		pause = max(watchEvery, watchShare*time.Since(begin))
	}
}

// look is one round of the watch.
func (g *Guard) look() {
	want, unbound := g.watched()
	if unbound {
		if t, err := snapshot(); err == nil {
			g.noteAll(t)
		}
	}
	if len(want) == 0 {
		return
	}
	for _, h := range g.scanner.look(want, watchEvery).found { // the rest comes next time
		s, ok := want[h.tty]
		if !ok {
			continue // of a session that began meanwhile, which looks for itself
		}
		if h.spared(s) && s.sparedSeen {
			continue
		}
		s.sparedSeen = s.sparedSeen || h.spared(s)
		ended := h.evict(want)
		g.Log.Warn("terminal held by another", "session", s.Session, "uid", s.uid, "pid", s.peer.pid,
			"holder", h.pid, "holder uid", h.uid, "holder name", h.comm, "ended", ended)
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

func (g *Guard) noteAll(t table) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.sessions {
		s.scope.note(t, s.peer)
	}
}
