// SPDX-License-Identifier: AGPL-3.0-or-later

package known

import (
	"maps"
	"slices"
	"time"

	"castgate/keys/settings"
)

// stamps say when each team was last seen whole, and who of it was stored.
type stamps struct {
	Teams  map[string]time.Time `json:"teams"`
	Origin settings.Origin      `json:"origin"`
}

const stampsName = "bulk"

func (s *Store) stamps() stamps {
	var b stamps
	if !s.Dir.Load(stampsName, &b) || b.Teams == nil || b.Origin.Org != s.Origin.Org {
		b = stamps{map[string]time.Time{}, s.Origin}
	}
	return b
}

// Stamp notes which teams were seen whole, and wholly believed, at a time. It
// speaks for everybody of whom nothing was written, so that it is for this process
// alone where somebody could not be stored. A GitHub that answered shows that a
// time which is to come was written by a wrong clock.
func (s *Store) Stamp(teams []string, at time.Time, answered bool, stored error) error {
	b := s.stamps()
	if b.Origin != s.Origin {
		b = stamps{map[string]time.Time{}, s.Origin}
	}
	known, named := len(b.Teams), s.conf.AllTeams()
	maps.DeleteFunc(b.Teams, func(slug string, at time.Time) bool {
		return answered && (!slices.Contains(named, slug) || Ahead(at, s.Now()))
	})
	said := len(teams) > 0 || len(b.Teams) < known
	for _, slug := range teams {
		b.Teams[slug] = at
	}
	switch {
	case !said:
		return nil // castgate check tells by the file when GitHub last answered
	case stored != nil:
		return s.Dir.Hold(stampsName, b)
	}
	return s.Dir.Save(stampsName, 0o644, b)
}

// oldest is when the one of the teams that was seen longest ago was seen.
func (b stamps) oldest(teams []string) (oldest time.Time) {
	for i, slug := range teams {
		if at := b.Teams[slug]; i == 0 || at.Before(oldest) {
			oldest = at
		}
	}
	return oldest
}

// SeenFresh reports whether the last refresh that saw all of the teams is not
// longer ago than the ttl.
func (s *Store) SeenFresh(teams []string) bool {
	b := s.stamps()
	d, ok := s.age(b.oldest(teams), b.Origin)
	return ok && d < s.conf.Cache.TTL
}

// SeenLately is SeenFresh for when GitHub can't be asked: not longer ago than
// max_stale, by the newest time that is known.
func (s *Store) SeenLately(teams []string) bool {
	b := s.stamps()
	at := b.oldest(teams)
	return !at.IsZero() && s.newest(b.Origin).Sub(at) <= s.conf.Cache.MaxStale
}

// age of a fact; one that another URL told is past its ttl from the start.
func (s *Store) age(at time.Time, from settings.Origin) (time.Duration, bool) {
	d, ok := age(s.Now(), at)
	if from != s.Origin {
		d = max(d, s.conf.Cache.TTL)
	}
	return d, ok
}

// newest is the newest time that is known: the clock's, or that of the last
// refresh of a team that still counts, when the clock is behind it. A host that starts with a wrong clock
// and no network would else know nothing of anybody.
func (s *Store) newest(from settings.Origin) time.Time {
	now := s.Now()
	if b := s.stamps(); b.Origin == from {
		for _, slug := range s.conf.AllTeams() {
			now = later(now, b.Teams[slug])
		}
	}
	return now
}
