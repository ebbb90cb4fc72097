// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// answer says where a fact comes from.
type answer struct {
	source string // cache, github, stale
	age    time.Duration
}

func (a answer) String() string {
	if a.source == "github" {
		return "asked now"
	}
	return fmt.Sprintf("%s, %s old", a.source, a.age.Truncate(time.Second))
}

// negative is how long a no is believed: long enough for the second question
// of one login, short enough for somebody who was just made a member.
const negative = 30 * time.Second

// person returns what is known of a login in these teams: from the cache while
// it is fresh, else from GitHub, else from the cache as long as it may be
// stale. The error means that nothing is known.
func (s *Service) person(ctx context.Context, login string, need []string) (record, answer, error) {
	if r, how, ok := s.fresh(login, need); ok {
		return r, how, nil
	}
	unlock, err := s.Cache.lock(ctx, "login-"+strings.ToLower(login))
	if err != nil {
		return s.stale(login, need, err)
	}
	defer unlock()
	if r, how, ok := s.fresh(login, need); ok { // asked by the process we waited for
		return r, how, nil
	}
	old, _ := s.Cache.record(login)
	_, warm := old.active(need)
	if err := s.Cache.mayAsk(s.Now(), warm); err != nil {
		return s.stale(login, need, err)
	}
	p, err := s.Finder.Find(ctx, login, old.Pinned, need)
	s.Cache.heard(err, s.Now())
	if err != nil {
		return s.stale(login, need, err)
	}
	r, err := s.Cache.remember(login, p, s.Now())
	if err == nil {
		err = s.Cache.listKeys(r, s.Now())
	}
	_ = err // the answer is good; that it can't be kept shows in castgate check
	return r, answer{source: "github"}, nil
}

// known is the record of a login with its age, as far as it speaks of these
// teams: what was asked for it alone, or what the last refresh said of all. A
// refresh that saw the whole of every team also knows who is in none.
func (s *Service) known(login string, need []string) (record, time.Duration, bool) {
	r, found := s.Cache.record(login)
	if !found {
		r.Person = Person{Login: login}
	}
	at := s.Cache.refreshed(need)
	if found && r.speaksOf(need) && r.At.After(at) {
		at = r.At
	}
	d, ok := age(s.Now(), at)
	return r, d, ok
}

// speaksOf reports whether the record answers for the teams: active in one, or
// asked about all.
func (r record) speaksOf(need []string) bool {
	if _, ok := r.active(need); ok {
		return true
	}
	for _, slug := range need {
		if _, asked := r.Teams[slug]; !asked {
			return false
		}
	}
	return true
}

func (s *Service) fresh(login string, need []string) (record, answer, bool) {
	r, d, ok := s.known(login, need)
	limit := s.Config.Cache.TTL
	if _, active := r.active(need); !active || len(r.Keys) == 0 {
		limit = min(limit, negative)
	}
	return r, answer{"cache", d}, ok && d < limit
}

// stale falls back to what was last known of a member. An old no is not worth
// anything against a GitHub that can't answer: it stays a fault.
func (s *Service) stale(login string, need []string, cause error) (record, answer, error) {
	r, d, ok := s.known(login, need)
	if _, active := r.active(need); !ok || !active || d > s.Config.Cache.MaxStale {
		return record{}, answer{}, cause
	}
	return r, answer{"stale", d}, nil
}
