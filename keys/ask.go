// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"context"
	"fmt"
	"maps"
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
// stale. known is the id of who is meant, 0 when only the login says. The error
// means that nothing is known.
func (s *Service) person(ctx context.Context, login string, known int64, need []string) (record, answer, error) {
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
	wait := restCold
	if _, warm := old.in(need, Active); warm {
		wait = restWarm
	}
	if err := s.Cache.mayAsk(s.Now(), wait); err != nil {
		return s.stale(login, need, err)
	}
	p, err := s.Finder.Find(ctx, login, known, need)
	s.Cache.heard(err, s.Now())
	if err != nil {
		s.rememberNoes(login, p)
		return s.stale(login, need, err)
	}
	r, err := s.Cache.remember(login, p, s.Now())
	if err == nil {
		err = s.Cache.listKeys(r)
	}
	_ = err // the answer is good; that it can't be kept is for castgate check
	return r, answer{source: "github"}, nil
}

// rememberNoes stores what was heard before a question failed: the teams that
// the login is not in. A yes without the keys is not an answer.
func (s *Service) rememberNoes(login string, p Person) {
	maps.DeleteFunc(p.Teams, func(_ string, state State) bool { return state == Active })
	if len(p.Teams) == 0 {
		return
	}
	no := Person{Login: login, Teams: p.Teams}
	if old, known := s.Cache.record(login); known {
		no.Login = old.Login
	}
	_, _ = s.Cache.remember(login, no, s.Now())
}

// known is the record of a login with the time of what it says of these teams:
// of the membership that counts, or of the oldest of several noes. What was
// asked for it alone counts, and what the last refresh saw of a whole team,
// which also tells who is not in it.
func (s *Service) known(login string, need []string) (record, time.Time) {
	r, found := s.Cache.record(login)
	if !found {
		r.Login = login
	}
	stamps := s.Cache.stamps()
	if !found {
		r.Origin = stamps.Origin
	} else if r.Origin != stamps.Origin {
		stamps.Teams = nil // they speak of others
	}
	var active, none time.Time
	for i, slug := range need {
		at := later(r.Teams[slug].At, stamps.Teams[slug])
		if r.Teams[slug].State == Active {
			active = later(active, at)
		}
		if i == 0 || at.Before(none) {
			none = at
		}
	}
	if active.IsZero() {
		active = none
	}
	return r, active
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (s *Service) fresh(login string, need []string) (record, answer, bool) {
	r, how, ok := s.recent(login, need)
	limit := s.Config.Cache.TTL
	if _, active := r.in(need, Active); !active || len(r.Keys) == 0 || r.Suspended {
		limit = min(limit, negative)
	}
	return r, how, ok && how.age < limit
}

// recent is fresh without the haste about noes: for what is written down about
// many, of whom some have no keys.
func (s *Service) recent(login string, need []string) (record, answer, bool) {
	r, at := s.known(login, need)
	d, ok := s.age(at, r.Origin)
	return r, answer{"cache", d}, ok && d < s.Config.Cache.TTL
}

// usable is the answer that counts when GitHub can't be asked. A yes lasts no
// longer than max_stale; a no that was heard lasts until a yes is.
func (s *Service) usable(login string, need []string) (record, answer, bool) {
	r, at := s.known(login, need)
	d := max(s.newest(r.Origin).Sub(at), 0)
	ok := !at.IsZero() && d <= s.Config.Cache.MaxStale
	if _, active := r.in(need, Active); !active {
		ok = ok || r.heardNo(need)
	}
	how := answer{"stale", d}
	if _, fresh := s.age(at, r.Origin); fresh && d < s.Config.Cache.TTL {
		how.source = "cache"
	}
	return r, how, ok
}

// newest is the newest time that is known: the clock's, or that of the last
// refresh when the clock is behind it. A host that starts with a wrong clock
// and no network would else know nothing of anybody.
func (s *Service) newest(from origin) time.Time {
	now := s.Now()
	if stamps := s.Cache.stamps(); stamps.Origin == from {
		for _, at := range stamps.Teams {
			now = later(now, at)
		}
	}
	return now
}

// stale falls back to what was last known of a member. An old no is not worth
// anything against a GitHub that can't answer: it stays a fault.
func (s *Service) stale(login string, need []string, cause error) (record, answer, error) {
	r, how, ok := s.usable(login, need)
	if _, active := r.in(need, Active); !ok || !active {
		return record{}, answer{}, cause
	}
	how.source = "stale"
	return r, how, nil
}
