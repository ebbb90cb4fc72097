// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// team is what the cache keeps of a team: enough to list a shared account and
// to see that a team shrank.
type team struct {
	At      time.Time           `json:"at"`
	Members []teammate          `json:"members"`
	Missing map[int64]time.Time `json:"missing,omitempty"` // of the members, and since when
	Origin  origin              `json:"origin"`
}

// confirmAfter must pass before somebody who is missing from a list that is
// suspiciously short is believed to have left: two logins in one second see the
// same mistake. It is counted for each person from the first list without
// them, so that a team that goes on shrinking keeps nobody in.
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

// seenUsably is seenWithin for when GitHub can't be asked: by the newest time
// that is known.
func (s *Service) seenUsably(teams []string) bool {
	stamps := s.Cache.stamps()
	for _, slug := range teams {
		at := stamps.Teams[slug]
		if at.IsZero() || s.newest(stamps.Origin).Sub(at) > s.Config.Cache.MaxStale {
			return false
		}
	}
	return true
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

// believe stores the list of a team and returns the members whom it misses and
// who are not believed to have left yet. Those there are only when the team
// shrank more than is likely, to nobody or to less than half: somebody who
// empties the team by mistake, or a GitHub that lists it wrongly, does not lock
// everybody out at once. That a list can't be stored changes nothing about it.
func (s *Service) believe(slug string, list []Person, at time.Time) (doubted []teammate) {
	old, _ := s.Cache.team(slug)
	now := team{At: at, Members: make([]teammate, 0, len(list))}
	if s.Cache != nil {
		if now.Origin = s.Cache.origin; old.Origin != now.Origin {
			old = team{Origin: now.Origin} // another GitHub's team may have been larger
		}
	}
	listed := map[int64]bool{}
	for _, p := range list {
		now.Members = append(now.Members, teammate{p.Login, p.ID})
		listed[p.ID] = true
	}
	if 2*len(list) < len(old.Members) {
		now.Missing = map[int64]time.Time{}
		for _, m := range old.Members {
			if since := old.missingSince(m.ID, at); !listed[m.ID] && at.Sub(since) < confirmAfter {
				doubted = append(doubted, m)
				now.Missing[m.ID] = since
			}
		}
	}
	now.Members = append(now.Members, doubted...)
	_ = s.Cache.save(teamName(slug), 0o644, now)
	return doubted
}

// missingSince is when a member was first missed, now when never before.
func (t *team) missingSince(id int64, now time.Time) time.Time {
	if since, missed := t.Missing[id]; missed && !since.After(now) {
		return since
	}
	return now
}

// shrank says that a team is not believed to have lost all of these.
func shrank(slug string, doubted []teammate) error {
	if len(doubted) == 0 {
		return nil
	}
	return &Fault{Class: Suspicious, Op: fmt.Sprintf("list team %q", slug), Err: fmt.Errorf("%s are missing from it all at once", count(len(doubted), "member"))}
}

func isDoubted(doubted []teammate, id int64, login string) bool {
	return slices.ContainsFunc(doubted, func(m teammate) bool { return m.ID == id || strings.EqualFold(m.Login, login) })
}
