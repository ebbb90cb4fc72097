// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

import (
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"castgate/upload/client"
)

// Tries never end. After a failure two things wait, each twice as long as the
// time before, up to maxWait: the recording at that target, so that one that a
// target can't digest does not hold up the others; and the target, so that one
// that is down is asked by one recording at a time and not by fifty thousand.
const (
	minWait = time.Second
	maxWait = 10 * time.Minute
	// nudgeWait is how soon a target that failed may be asked again because a
	// new recording came in.
	nudgeWait = 5 * time.Second
)

// packing stands for "taking it from the spool" among the targets.
const packing = ""

// lane is a recording's way to a target.
type lane struct{ id, target string }

// backoff is how often something failed and until when it rests.
type backoff struct {
	fails  int
	until  time.Time
	err    error
	last   time.Time
	firmly bool // the target named the time
}

// gate is a target's own backoff.
type gate struct {
	backoff
	trying int    // deliveries under way
	loser  string // the recording that failed last: after a failure others go first
	used   bool   // in this pass
}

// schedule decides who may try what, when.
type schedule struct {
	now func() time.Time

	mu    sync.Mutex
	busy  map[string]bool // recordings under way
	lanes map[lane]*backoff
	gates map[string]*gate
}

func newSchedule(now func() time.Time, targets []string) *schedule {
	s := &schedule{now: now, busy: map[string]bool{}, lanes: map[lane]*backoff{}, gates: map[string]*gate{packing: {}}}
	for _, t := range targets {
		s.gates[t] = &gate{}
	}
	return s
}

// wait returns how long to rest after so many failures: half of it certain,
// half by chance, so that a fleet doesn't come back all at once.
func wait(fails int) time.Duration {
	d := maxWait
	if fails < 20 {
		d = min(maxWait, minWait<<(fails-1))
	}
	return d/2 + rand.N(d/2)
}

// begin takes recording id for a try at those of targets that may be tried
// now, which it returns. It doesn't take one that has to wait for all of them:
// a recording is only packed for a target that can be tried.
func (s *schedule) begin(id string, packed bool, targets []string) (open []string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if s.busy[id] || !packed && !s.free(lane{id, packing}, now) {
		return nil, false
	}
	for _, t := range targets {
		if s.free(lane{id, t}, now) {
			open = append(open, t)
		}
	}
	if len(open) == 0 && len(targets) > 0 {
		return nil, false
	}
	s.busy[id] = true
	if !packed {
		s.gates[packing].trying++
		s.gates[packing].used = true
	}
	for _, t := range open {
		s.gates[t].trying++
		s.gates[t].used = true
	}
	return open, true
}

func (s *schedule) free(at lane, now time.Time) bool {
	l := s.lanes[at]
	g := s.gates[at.target]
	return (l == nil || !now.Before(l.until)) && g.open(now) && (g.fails == 0 || g.loser != at.id)
}

// open reports whether another recording may try this target: any number while
// all goes well, one at a time after a failure.
func (g *gate) open(now time.Time) bool {
	return !now.Before(g.until) && (g.fails == 0 || g.trying == 0)
}

// anyOpen reports whether any target may be tried now.
func (s *schedule) anyOpen() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for _, g := range s.gates {
		if g.open(now) {
			return true
		}
	}
	return false
}

// result notes how a try at one target went.
func (s *schedule) result(id, target string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.gates[target]
	g.trying--
	if err == nil || client.IsRefused(err) {
		delete(s.lanes, lane{id, target})
		g.backoff = backoff{}
		return
	}
	now := s.now()
	if later := (*client.Later)(nil); errors.Is(err, client.ErrPaced) && errors.As(err, &later) {
		g.until = later.At
		return
	}
	l := s.lanes[lane{id, target}]
	if l == nil {
		l = &backoff{}
		s.lanes[lane{id, target}] = l
	}
	l.failed(err, now)
	g.failed(err, now)
	g.loser = id
}

func (b *backoff) failed(err error, now time.Time) {
	b.fails++
	b.err, b.last, b.firmly = err, now, false
	b.until = now.Add(wait(b.fails))
	var later *client.Later
	if errors.As(err, &later) && later.At.After(now) {
		b.until, b.firmly = later.At, true
	}
}

// end gives the recording back, and the targets that were not tried after all.
func (s *schedule) end(id string, untried []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.busy, id)
	for _, t := range untried {
		s.gates[t].trying--
	}
}

// passed ends a pass over all recordings. It reports whether another one would
// find more to do: where only the one that failed last was left, it is its turn.
func (s *schedule) passed() (again bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for t, g := range s.gates {
		if l := s.lanes[lane{g.loser, t}]; !g.used && g.open(now) && l != nil && !now.Before(l.until) {
			again = true
			g.loser = ""
		}
		g.used = false
	}
	return again
}

// forget drops all that is known of a recording.
func (s *schedule) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for t := range s.gates {
		delete(s.lanes, lane{id, t})
	}
}

// nudge lets targets that failed a while ago be asked now, but for those that
// named a time.
func (s *schedule) nudge() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for _, g := range s.gates {
		if g.fails > 0 && !g.firmly && now.Sub(g.last) >= nudgeWait {
			g.until = now
		}
	}
}

// next returns the earliest moment at which something that rests may be tried.
func (s *schedule) next() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	at := now.Add(maxWait)
	for _, g := range s.gates {
		if g.until.After(now) && g.until.Before(at) {
			at = g.until
		}
	}
	for _, l := range s.lanes {
		if l.until.After(now) && l.until.Before(at) {
			at = l.until
		}
	}
	return at
}
