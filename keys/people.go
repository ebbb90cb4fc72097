// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"strings"
	"time"
)

// record is what the cache keeps of a login: the last thing GitHub said with
// authority, when, and the id the login had when it was first let in. GitHub
// gives a login that was given up to the next who asks; the id is never given
// twice. So an account belongs to the id, and a login with another id is
// another person.
type record struct {
	Person
	Pinned int64     `json:"pinned,omitempty"`
	At     time.Time `json:"at"`
}

// recordName is the file of a login. GitHub's logins don't differ by case.
func recordName(login string) string { return "people/" + strings.ToLower(login) }

func (c *Cache) record(login string) (record, bool) {
	var r record
	if checkLogin(login) != nil || !c.load(recordName(login), &r) {
		return record{}, false
	}
	return r, true
}

// remember stores what GitHub said about the login that was asked for. The pin
// outlives everything else, a person's leave included.
func (c *Cache) remember(asked string, p Person, now time.Time) (record, error) {
	old, _ := c.record(asked)
	r := record{Person: p, Pinned: old.Pinned, At: now}
	if r.Pinned == 0 && strings.EqualFold(asked, p.Login) && p.ID > 0 {
		r.Pinned = p.ID
	}
	return r, c.save(recordName(asked), 0o644, r)
}

// active reports whether the person is a member of one of the teams, and which.
func (p Person) active(teams []string) (string, bool) {
	for _, t := range teams {
		if p.Teams[t] == Active {
			return t, true
		}
	}
	return "", false
}

// pending reports an invitation that was not accepted.
func (p Person) pending(teams []string) (string, bool) {
	for _, t := range teams {
		if p.Teams[t] == Pending {
			return t, true
		}
	}
	return "", false
}
