// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// team is what the cache keeps of a team: enough to list a shared account and
// to see that a team shrank.
type team struct {
	At      time.Time  `json:"at"`
	Members []teammate `json:"members"`
	Shrunk  *shrunk    `json:"shrunk,omitempty"`
	Origin  origin     `json:"origin"`
}

// shrunk is a list that is not believed yet: how short it was, and when.
type shrunk struct {
	Size int       `json:"size"`
	At   time.Time `json:"at"`
}

// confirmAfter must pass before a second list as short is believed: two logins
// in one second see the same mistake.
const confirmAfter = time.Minute

type teammate struct {
	Login string `json:"login"`
	ID    int64  `json:"id"`
}

// team is what is known of a team; empty, but for its origin, when nothing is.
func (c *Cache) team(slug string) (team, bool) {
	var t team
	if c == nil {
		return t, false
	}
	if !c.load(teamName(slug), &t) || t.Origin.Org != c.origin.Org {
		return team{Origin: c.origin}, false
	}
	return t, true
}

func teamName(slug string) string { return "teams/" + strings.ToLower(slug) }

// bulk says when each team was last seen whole, and who of it was stored.
type bulk struct {
	Teams  map[string]time.Time `json:"teams"`
	Origin origin               `json:"origin"`
}

const bulkName = "bulk"

// stamps are the times when each team was last seen whole.
func (c *Cache) stamps() bulk {
	var b bulk
	if !c.load(bulkName, &b) || b.Teams == nil || b.Origin.Org != c.origin.Org {
		b = bulk{Teams: map[string]time.Time{}}
		if c != nil {
			b.Origin = c.origin
		}
	}
	return b
}

// seenWithin reports whether the last refresh that saw all of the teams is not
// longer ago than limit.
func (s *Service) seenWithin(teams []string, limit time.Duration) bool {
	stamps := s.Cache.stamps()
	var oldest time.Time
	for i, slug := range teams {
		if at := stamps.Teams[slug]; i == 0 || at.Before(oldest) {
			oldest = at
		}
	}
	d, ok := s.age(oldest, stamps.Origin)
	return ok && d < limit
}

// age of a fact; one that another URL told is past its ttl from the start.
func (s *Service) age(at time.Time, from origin) (time.Duration, bool) {
	d, ok := age(s.Now(), at)
	if s.Cache != nil && from != s.Cache.origin {
		d = max(d, s.Config.Cache.TTL)
	}
	return d, ok
}

// AllTeams lists every team the configuration names, each once. Those of
// seal_teams are only asked about: no login is let in for being in one.
func (c *Config) AllTeams() []string {
	all := slices.Concat(c.Teams, c.SealTeams)
	for _, name := range slices.Sorted(maps.Keys(c.Accounts)) {
		all = append(all, c.Accounts[name].Teams...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// believe stores the list of a team, unless it shrank more than is likely: to
// nobody, or to less than half. Then the old list stays, and only a second
// list that is as short replaces it: somebody who empties the team by mistake,
// or a GitHub that lists it wrongly, does not lock everybody out at once.
func (s *Service) believe(slug string, list []Person, at time.Time) error {
	old, _ := s.Cache.team(slug)
	now := team{At: at, Members: make([]teammate, 0, len(list))}
	if s.Cache != nil {
		if now.Origin = s.Cache.origin; old.Origin != now.Origin {
			old = team{Origin: now.Origin} // another GitHub's team may have been larger
		}
	}
	for _, p := range list {
		now.Members = append(now.Members, teammate{p.Login, p.ID})
	}
	if 2*len(list) >= len(old.Members) || old.Shrunk.confirms(len(list), at) {
		return s.Cache.save(teamName(slug), 0o644, now)
	}
	fault := &Fault{Class: Suspicious, Op: fmt.Sprintf("list team %q", slug), Err: fmt.Errorf("it shrank from %d members to %d", len(old.Members), len(list))}
	if old.Shrunk == nil || len(list) < old.Shrunk.Size {
		old.Shrunk = &shrunk{len(list), at}
		return errors.Join(fault, s.Cache.save(teamName(slug), 0o644, old))
	}
	return fault
}

func (s *shrunk) confirms(size int, at time.Time) bool {
	return s != nil && size >= s.Size && at.Sub(s.At) >= confirmAfter
}
