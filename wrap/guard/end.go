// SPDX-License-Identifier: AGPL-3.0-or-later

package guard

import (
	"cmp"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"
)

// grace is what left-overs get to follow the hang-up that they have had: an
// editor writes its swap file.
const grace = 500 * time.Millisecond

// ended follows the end of a session's connection. The sweep waits for the
// recorder's own end: until then its children are still below sshd. The last
// recorded channel of a connection sweeps for all of them.
func (g *Guard) ended(s *session, who peer) {
	dead := gone(who.pidfd, cmp.Or(g.testOnlyLastWords, lastWords))
	last := g.depart(s)
	if dead && s.goesOn() {
		g.write(s, slog.LevelWarn, LineEnd, s.who, "seconds", int(time.Since(s.begun).Seconds()), "lost", "the recorder was killed")
	}
	log := g.Log.With("session", s.Session, "uid", s.uid, "pid", s.peer.pid)
	switch {
	case !dead:
		log.Warn("session let go", "why", "the recorder hung up and lives on")
	case !s.place.bySSHD():
		log.Info("session ended", "leftovers", "none of its own: "+string(s.place.standing))
	case !last:
		log.Info("session ended", "leftovers", "another channel of the connection goes on")
	case s.Leftovers == Keep:
		log.Info("session ended", "leftovers", Keep)
	default:
		g.clear(log, s)
	}
	if stopped(s.place.session) {
		g.free(s, s.place.session, false) // with nobody left to stop it again
	}
}

// depart takes s out of the register. last says that no other session of its
// connection is in there.
func (g *Guard) depart(s *session) (last bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.sessions, s.peer.procID)
	if !s.place.bySSHD() {
		return false
	}
	conn := s.place.monitor.procID
	g.shells[conn] = append(g.shells[conn], s.place.between...)
	for _, other := range g.sessions {
		if other.place.monitor.same(s.place.monitor) {
			return false
		}
	}
	s.scope.drop = g.shells[conn]
	delete(g.shells, conn)
	return true
}

// clear lists or ends what the connection's sessions have left behind.
func (g *Guard) clear(log *slog.Logger, s *session) {
	time.Sleep(grace)
	defer g.sweeps.take(s.uid)()
	g.sweeping <- struct{}{}
	defer func() { <-g.sweeping }()
	s.noting.Lock() // the watch may not have done with it
	defer s.noting.Unlock()
	var met map[procID]process
	clean := true
	if s.Leftovers == End {
		met, clean = s.scope.sweep()
	}
	t, err := snapshot()
	if err != nil {
		log.Error("session ended", "leftovers", s.Leftovers, "why", err)
		return
	}
	s.scope.note(t, s.peer)
	left := s.scope.leftovers(t) // root's among them
	args := []any{"leftovers", s.Leftovers, "ended", len(met), "processes", names(slices.Collect(maps.Values(met))), "left", len(left), "still there", names(left)}
	if !clean {
		log.Error("session ended", append(args, "why", "not all of them could be ended")...)
		return
	}
	log.Info("session ended", args...)
}

// maxNames bounds a log line.
const maxNames = 16

// names lists processes for the log, in the order of their pids.
func names(list []process) []string {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b process) int { return a.pid - b.pid })
	var out []string
	for _, p := range list[:min(len(list), maxNames)] {
		out = append(out, fmt.Sprintf("%d %s", p.pid, p.comm))
	}
	return out
}
