// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"errors"
	"fmt"
	"time"
)

// Lasting is an account that somebody opens on a yes that GitHub has not
// repeated for longer than ttl: max_stale is what ends it.
type Lasting struct {
	Account string
	Login   string
	Team    string
	Age     time.Duration
	Left    time.Duration // until max_stale ends it
}

// String is what an administrator reads.
func (l Lasting) String() string {
	return fmt.Sprintf("%s for %s of team %s (%s old, ends in %s)", l.Account, l.Login, l.Team, l.Age.Truncate(time.Second), l.Left.Truncate(time.Second))
}

// Lasting lists them, from the cache alone.
func (s *Service) Lasting() (all []Lasting, err error) {
	if s.Cache == nil {
		return nil, s.cacheErr
	}
	for _, account := range s.candidates() {
		g, why, gerr := s.grantFor(account)
		if err = errors.Join(err, gerr); gerr != nil || why != "" {
			continue
		}
		people, _ := s.stored(g, s.usable)
		for _, f := range people {
			team, in := f.in(f.teams, Active)
			if in && !f.Suspended && f.how.source == "stale" {
				all = append(all, Lasting{account, f.Login, team, f.how.age, s.Config.Cache.MaxStale - f.how.age})
			}
		}
	}
	return all, err
}
