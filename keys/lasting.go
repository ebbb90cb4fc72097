// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"castgate/keys/known"
)

// Lasting is an account that people open on a yes that GitHub has not repeated
// for longer than ttl. max_stale is what ends it.
type Lasting struct {
	Account string
	Logins  []string
	Age     time.Duration // of the oldest yes
	Left    time.Duration // until that one ends
}

// String is what an administrator reads.
func (l Lasting) String() string {
	return fmt.Sprintf("%s opens to %s, as GitHub said %s ago and not since; max_stale ends it in %s",
		l.Account, strings.Join(l.Logins, ", "), l.Age.Truncate(time.Second), l.Left.Truncate(time.Second))
}

// Lasting lists them, from the cache alone. The error is about single accounts.
func (s *Service) Lasting() (all []Lasting, err error) {
	if s.Known.Dir == nil {
		return nil, s.Known.Why
	}
	for _, account := range s.Owners.Candidates() {
		g, why, gerr := s.Owners.Grant(account)
		if err = errors.Join(err, gerr); gerr != nil || why != "" {
			continue
		}
		l := Lasting{Account: account}
		people, _ := s.stored(g, s.Known.Lately)
		for _, f := range people {
			if _, in := f.In(f.teams, known.Active); in && !f.Suspended && f.how.Source == "stale" {
				l.Logins = append(l.Logins, f.Login)
				l.Age = max(l.Age, f.how.Age)
			}
		}
		if l.Left = s.Config.Cache.MaxStale - l.Age; len(l.Logins) > 0 {
			all = append(all, l)
		}
	}
	return all, err
}
