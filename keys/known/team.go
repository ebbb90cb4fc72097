// SPDX-License-Identifier: AGPL-3.0-or-later

package known

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"castgate/keys/settings"
)

// Team is what the cache keeps of a team: enough to list a shared account and
// to see that a team shrank.
type Team struct {
	At      time.Time           `json:"at"`
	Members []Teammate          `json:"members"`
	Missing map[int64]time.Time `json:"missing,omitempty"` // of the members, and since when
	Origin  settings.Origin     `json:"origin"`
}

// confirmAfter must pass before somebody who is missing from a list that is
// suspiciously short is believed to have left: two logins in one second see the
// same mistake. It is counted for each person from the first list without
// them, so that a team that goes on shrinking keeps nobody in.
const confirmAfter = time.Minute

// Teammate is somebody in a team.
type Teammate struct {
	Login string `json:"login"`
	ID    int64  `json:"id"`
}

// Team is what is known of a team; empty, but for its origin, when nothing is.
func (s *Store) Team(slug string) (Team, bool) {
	var t Team
	if s.Dir == nil {
		return t, false
	}
	if !s.Dir.Load(teamName(slug), &t) || t.Origin.Org != s.Origin.Org {
		t = Team{Origin: s.Origin}
	}
	if beside := s.overruled.team(slug); beside.At.After(t.At) && beside.Origin.Org == s.Origin.Org {
		t = beside
	}
	return t, !t.At.IsZero()
}

// saveTeam keeps the list of a team, beside the cache where that can't be
// written: other processes have to see since when a member is missing.
func (s *Store) saveTeam(slug string, t Team) error {
	return s.overruled.saveTeam(slug, t, s.Dir.Save(teamName(slug), 0o644, t))
}

func teamName(slug string) string { return "teams/" + strings.ToLower(slug) }

// Believe stores the list of a team and returns the members whom it misses and
// who are not believed to have left yet. Those there are only when the team
// shrank more than is likely, to nobody or to less than half: somebody who
// empties the team by mistake, or a GitHub that lists it wrongly, does not lock
// everybody out at once. Where nothing can be stored, they are doubted for as long
// after the last list that could.
func (s *Store) Believe(slug string, list []Person, at time.Time) (doubted []Teammate) {
	old, _ := s.Team(slug)
	now := Team{At: at, Members: make([]Teammate, 0, len(list)), Origin: s.Origin}
	if old.Origin != now.Origin {
		old = Team{Origin: now.Origin} // another GitHub's team may have been larger
	}
	listed := map[int64]bool{}
	for _, p := range list {
		now.Members = append(now.Members, Teammate{p.Login, p.ID})
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
	err := s.saveTeam(slug, now)
	if since, ok := age(at, old.At); err != nil && (!ok || since >= confirmAfter) {
		// Each process would miss them for the first time.
		now.Members, now.Missing, doubted = now.Members[:len(list)], nil, nil
		_ = s.Dir.Hold(teamName(slug), now)
	}
	return doubted
}

// missingSince is when a member was first missed, now when never before.
func (t *Team) missingSince(id int64, now time.Time) time.Time {
	if since, missed := t.Missing[id]; missed && !since.After(now) {
		return since
	}
	return now
}

// Shrank says that a team is not believed to have lost all of these.
func Shrank(slug string, doubted []Teammate) error {
	if len(doubted) == 0 {
		return nil
	}
	return &Fault{Class: Suspicious, Op: fmt.Sprintf("list team %q", slug), Err: fmt.Errorf("%s are missing from it all at once", members(len(doubted)))}
}

// Doubts reports whether one of the doubted has the id or the login.
func Doubts(doubted []Teammate, id int64, login string) bool {
	return slices.ContainsFunc(doubted, func(m Teammate) bool { return m.ID == id || strings.EqualFold(m.Login, login) })
}

func members(n int) string {
	if n == 1 {
		return "1 member"
	}
	return fmt.Sprintf("%d members", n)
}
