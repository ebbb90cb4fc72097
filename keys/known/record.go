// SPDX-License-Identifier: AGPL-3.0-or-later

package known

import (
	"maps"
	"slices"
	"strings"
	"time"

	"castgate/keys/settings"
)

// Record is what the cache keeps of a login: the last thing GitHub said with
// authority, and when. Whose an account is, is not for the cache to know
// (package owners).
type Record struct {
	Login     string                `json:"login"`
	ID        int64                 `json:"id"`
	Pinned    int64                 `json:"pinned,omitempty"` // by an older castgate-keys, see package owners
	Teams     map[string]Membership `json:"teams,omitempty"`
	Keys      []Key                 `json:"keys,omitempty"`
	Suspended bool                  `json:"suspended,omitempty"`
	At        time.Time             `json:"at"`            // when it was written
	Told      time.Time             `json:"told,omitzero"` // when the id, the keys and the suspension were
	Origin    settings.Origin       `json:"origin"`
}

// Membership has its own time: one team may be asked about and another not.
type Membership struct {
	State State     `json:"state"`
	At    time.Time `json:"at"`
}

// people has a file for each login.
const people = "people"

// recordName is the file of a login. GitHub's logins don't differ by case.
func recordName(login string) string { return people + "/" + strings.ToLower(login) }

// Record is what is known of a login.
func (s *Store) Record(login string) (Record, bool) {
	var r Record
	if settings.CheckLogin(login) != nil || !s.Dir.Load(recordName(login), &r) || r.Origin.Org != s.Origin.Org {
		return Record{}, false
	}
	if s.overruled.since(login, r.At) {
		return Record{}, false
	}
	return r, true
}

// Logins are the logins that something is known of.
func (s *Store) Logins() ([]string, error) { return s.Dir.List(people) }

// Remember stores what GitHub said about the login that was asked for. What it
// didn't speak of stays. What can't be stored overrules what was. heard is when
// the question began.
func (s *Store) Remember(asked string, p Person, heard time.Time) (Record, error) {
	now := s.Now()
	r, known := s.Record(asked)
	news := !known || !r.Says(p)
	if r.Origin != s.Origin {
		r = Record{Origin: s.Origin} // the ids of another URL are nobody's here
	}
	r.learn(p, heard)
	r.forgetAhead(now)
	r.At = now
	err := s.Dir.Save(recordName(asked), 0o644, r)
	if err != nil && news {
		s.overrule(asked, now)
	}
	return r, err
}

// Heard is a record of what was said now and is not kept.
func (s *Store) Heard(p Person) Record {
	r := Record{Origin: s.Origin}
	r.learn(p, s.Now())
	return r
}

func (r *Record) learn(p Person, now time.Time) {
	if r.ID != p.ID && p.ID != 0 {
		r.Teams, r.Suspended = nil, false // those of somebody else
	}
	r.Login = p.Login
	if p.ID != 0 {
		r.ID, r.Keys, r.Told = p.ID, p.Keys, now
	}
	if p.ID != 0 && !p.MaybeSuspended {
		r.Suspended = p.Suspended
	}
	teams := maps.Clone(r.Teams)
	if teams == nil {
		teams = map[string]Membership{}
	}
	for slug, state := range p.Teams {
		teams[slug] = Membership{state, now}
	}
	r.Teams = teams
}

// Ahead reports whether a clock that was wrong has dated something in the record.
func (r *Record) Ahead(now time.Time) bool {
	for _, m := range r.Teams {
		if Ahead(m.At, now) {
			return true
		}
	}
	return Ahead(r.Told, now)
}

// forgetAhead forgets that, now that GitHub has answered.
func (r *Record) forgetAhead(now time.Time) {
	maps.DeleteFunc(r.Teams, func(_ string, m Membership) bool { return Ahead(m.At, now) })
	if Ahead(r.Told, now) {
		r.Told = time.Time{}
	}
}

// Says reports whether the record has all of this already, times aside.
func (r *Record) Says(p Person) bool {
	for slug, state := range p.Teams {
		if r.Teams[slug].State != state {
			return false
		}
	}
	same := p.ID == 0 || r.ID == p.ID && slices.Equal(r.Keys, p.Keys) && (p.MaybeSuspended || r.Suspended == p.Suspended)
	return same && r.Login == p.Login && !r.At.IsZero()
}

// In returns the first of the teams where the person has the state.
func (r *Record) In(teams []string, want State) (string, bool) {
	for _, t := range teams {
		if r.Teams[t].State == want {
			return t, true
		}
	}
	return "", false
}

// heardNo reports whether GitHub said of one of the teams that the person is
// not in it.
func (r *Record) heardNo(teams []string) bool {
	return slices.ContainsFunc(teams, func(t string) bool { s := r.Teams[t].State; return s == None || s == Pending })
}

// listed reports whether any team lists the person.
func (r *Record) listed() bool {
	for _, m := range r.Teams {
		if m.State == Active {
			return true
		}
	}
	return false
}

// Member reports whether the person is a member of any team at all.
func (r *Record) Member() bool { return r.listed() && !r.Suspended }
