// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// record is what the cache keeps of a login: the last thing GitHub said with
// authority, and when. Whose an account is, is not for the cache to know
// (pins.go).
type record struct {
	Login     string                `json:"login"`
	ID        int64                 `json:"id"`
	Pinned    int64                 `json:"pinned,omitempty"` // by an older castgate-keys, see adopt.go
	Teams     map[string]membership `json:"teams,omitempty"`
	Keys      []GitHubKey           `json:"keys,omitempty"`
	Suspended bool                  `json:"suspended,omitempty"`
	At        time.Time             `json:"at"`
	Origin    origin                `json:"origin"`
}

// membership has its own time: one team may be asked about and another not.
type membership struct {
	State State     `json:"state"`
	At    time.Time `json:"at"`
}

// recordName is the file of a login. GitHub's logins don't differ by case.
func recordName(login string) string { return "people/" + strings.ToLower(login) }

func (c *Cache) record(login string) (record, bool) {
	var r record
	if checkLogin(login) != nil || !c.load(recordName(login), &r) || r.Origin.Org != c.origin.Org {
		return record{}, false
	}
	if c.overruled.since(login, r.At) {
		return record{}, false
	}
	return r, true
}

// remember stores what GitHub said about the login that was asked for. What it
// didn't speak of stays. What can't be stored overrules what was.
func (c *Cache) remember(asked string, p Person, now time.Time) (record, error) {
	r, known := c.record(asked)
	news := !known || !r.says(p)
	if c != nil && r.Origin != c.origin {
		r = record{Origin: c.origin} // the ids of another URL are nobody's here
	}
	r.learn(p, now)
	err := c.save(recordName(asked), 0o644, r)
	if err != nil && news {
		c.overrule(asked, now)
	}
	return r, err
}

func (r *record) learn(p Person, now time.Time) {
	if r.ID != p.ID && p.ID != 0 {
		r.Teams, r.Suspended = nil, false // those of somebody else
	}
	r.Login, r.At = p.Login, now
	if p.ID != 0 {
		r.ID, r.Keys = p.ID, p.Keys
	}
	if p.ID != 0 && !p.MaybeSuspended {
		r.Suspended = p.Suspended
	}
	teams := maps.Clone(r.Teams)
	if teams == nil {
		teams = map[string]membership{}
	}
	for slug, state := range p.Teams {
		teams[slug] = membership{state, now}
	}
	r.Teams = teams
}

// says reports whether the record has all of this already, times aside.
func (r *record) says(p Person) bool {
	for slug, state := range p.Teams {
		if r.Teams[slug].State != state {
			return false
		}
	}
	same := p.ID == 0 || r.ID == p.ID && slices.Equal(r.Keys, p.Keys) && (p.MaybeSuspended || r.Suspended == p.Suspended)
	return same && r.Login == p.Login && !r.At.IsZero()
}

// in returns the first of the teams where the person has the state.
func (r *record) in(teams []string, want State) (string, bool) {
	for _, t := range teams {
		if r.Teams[t].State == want {
			return t, true
		}
	}
	return "", false
}

// heardNo reports whether GitHub said of one of the teams that the person is
// not in it.
func (r *record) heardNo(teams []string) bool {
	return slices.ContainsFunc(teams, func(t string) bool { s := r.Teams[t].State; return s == None || s == Pending })
}

// listed reports whether any team lists the person.
func (r *record) listed() bool {
	for _, m := range r.Teams {
		if m.State == Active {
			return true
		}
	}
	return false
}

// member reports whether the person is a member of any team at all.
func (r *record) member() bool { return r.listed() && !r.Suspended }
