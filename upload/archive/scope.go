// SPDX-License-Identifier: AGPL-3.0-or-later

package archive

import (
	"slices"

	"castgate/upload/manifest"
)

// Scope is what somebody may see of the recordings: all of them, or those of
// sessions that some people opened. It is the only place that decides who sees
// what. It knows people, and no accounts: an account's name may be another
// person's login, several people may share an account, and who that was is not
// guessed. So a recording that names no person is for those who see everything.
//
// The zero Scope sees nothing.
type Scope struct {
	all    bool
	people []manifest.Person
}

// Everything is the scope of an auditor.
func Everything() Scope { return Scope{all: true} }

// SessionsOf is the scope of who sees what these people did.
func SessionsOf(people ...manifest.Person) Scope { return Scope{people: people} }

// All says that there is nothing to ask.
func (s Scope) All() bool { return s.all }

// Allows says whether the session of this person may be seen.
func (s Scope) Allows(p manifest.Person) bool {
	return s.all || slices.ContainsFunc(s.people, p.Is)
}

// one returns the only person whose sessions may be seen, if it is one: then
// the index can be asked for no others.
func (s Scope) one() (p manifest.Person, ok bool) {
	if s.all || len(s.people) != 1 {
		return p, false
	}
	return s.people[0], true
}
