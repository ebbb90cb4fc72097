// SPDX-License-Identifier: AGPL-3.0-or-later

package known

import (
	"fmt"
	"time"
)

// From says where a fact comes from, and how old it is.
type From struct {
	Source string // cache, github, stale
	Age    time.Duration
}

// Asked is a fact that GitHub has just told.
var Asked = From{Source: "github"}

// String is what explains a decision.
func (f From) String() string {
	if f.Source == "github" {
		return "asked now"
	}
	return fmt.Sprintf("%s, %s old", f.Source, f.Age.Truncate(time.Second))
}

// negative is how long a no is believed: long enough for the second question
// of one login, short enough for somebody who was just made a member.
const negative = 30 * time.Second

// dated is the record of a login with the time of what it says of these teams:
// of the membership that grants access or, if none does, of the oldest refusal.
// What was asked for it alone counts, and what the last refresh saw of a whole
// team, which also tells who is not in it.
func (s *Store) dated(login string, need []string) (Record, time.Time) {
	r, found := s.Record(login)
	if !found {
		r.Login = login
	}
	stamps := s.stamps()
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

// Fresh is what is known of a login while nobody need ask: while it is younger
// than the ttl, a no only for a moment.
func (s *Store) Fresh(login string, need []string) (Record, From, bool) {
	r, how, ok := s.Recent(login, need)
	limit := s.conf.Cache.TTL
	if _, active := r.In(need, Active); !active || len(r.Keys) == 0 || r.Suspended {
		limit = min(limit, negative)
	}
	return r, how, ok && how.Age < limit
}

// Recent is Fresh without the haste about noes: for what is written down about
// many, of whom some have no keys.
func (s *Store) Recent(login string, need []string) (Record, From, bool) {
	r, at := s.dated(login, need)
	d, ok := s.age(at, r.Origin)
	return r, From{"cache", d}, ok && d < s.conf.Cache.TTL
}

// Lately is the answer that counts when GitHub can't be asked. A yes lasts no
// longer than max_stale; a no that was heard lasts until a yes is.
func (s *Store) Lately(login string, need []string) (Record, From, bool) {
	r, at := s.dated(login, need)
	d, ok := age(s.newest(r.Origin), at)
	ok = ok && d <= s.conf.Cache.MaxStale
	if _, active := r.In(need, Active); !active {
		ok = ok || r.heardNo(need)
	}
	how := From{"stale", d}
	if _, fresh := s.age(at, r.Origin); fresh && d < s.conf.Cache.TTL {
		how.Source = "cache"
	}
	return r, how, ok
}
