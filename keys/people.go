// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// record is what the cache keeps of a login: the last thing GitHub said with
// authority, when, and the id the login had when it was first let in. GitHub
// gives a login that was given up to the next who asks; the id is never given
// twice. So an account belongs to the id, and a login with another id is
// another person.
type record struct {
	Login     string                `json:"login"`
	ID        int64                 `json:"id"`
	Pinned    int64                 `json:"pinned,omitempty"`
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
	return r, true
}

// remember stores what GitHub said about the login that was asked for. What it
// didn't speak of stays. The pin outlives everything, a person's leave too.
func (c *Cache) remember(asked string, p Person, now time.Time) (record, error) {
	r, _ := c.record(asked)
	if c != nil && r.Origin != c.origin {
		r = record{Origin: c.origin} // the ids of another URL are nobody's here
	}
	r.learn(asked, p, now)
	return r, c.save(recordName(asked), 0o644, r)
}

func (r *record) learn(asked string, p Person, now time.Time) {
	if r.ID != p.ID && p.ID != 0 {
		r.Teams = nil // those of somebody else
	}
	r.Login, r.At = p.Login, now
	if p.ID != 0 {
		r.ID, r.Keys, r.Suspended = p.ID, p.Keys, p.Suspended
	}
	if r.Pinned == 0 && strings.EqualFold(asked, p.Login) {
		r.Pinned = p.ID
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
	same := p.ID == 0 || r.ID == p.ID && r.Suspended == p.Suspended && slices.Equal(r.Keys, p.Keys)
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

// anyTeam reports whether the person is a member of any team at all.
func (r *record) anyTeam() bool {
	for _, m := range r.Teams {
		if m.State == Active {
			return true
		}
	}
	return false
}
