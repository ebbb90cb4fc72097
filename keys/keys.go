// SPDX-License-Identifier: AGPL-3.0-or-later

// Package keys decides whose SSH keys open which account, from the teams of a
// GitHub organisation. The rules, in the order they are asked:
//
//  1. A key in the account's emergency file opens it: no network, no cache.
//  2. An account that "accounts" names is opened by the members of its teams
//     and by its logins, who must be members of a team too.
//  3. An account that was made for a person is opened by them, when they are a
//     member of one of "teams", and never below uid 1000: an account of the
//     group castgate-people by the login of its name, one that root pinned by
//     the id that it was pinned to (pins.go).
//  4. Any other account is opened by nobody: a login can be changed to any
//     name that an account has.
//
// Only what GitHub said with authority changes the cache: see class.go for
// what counts as an answer, and cache.go for how long it is believed.
package keys

import (
	"context"
	"time"
)

// State is what GitHub says of a login and a team.
type State string

// The states of a membership. Pending is an invitation not yet accepted: it
// opens nothing.
const (
	Active  State = "active"
	Pending State = "pending"
	None    State = "none"
)

// Person is a GitHub user as far as a login needs to know.
type Person struct {
	Login     string
	ID        int64 // 0: not asked, as for somebody who is in no team
	Teams     map[string]State
	Keys      []GitHubKey
	Suspended bool

	MaybeSuspended bool // who was asked can't tell
}

// GitHubKey is a key and the number GitHub gave it, 0 where it wasn't told.
type GitHubKey struct {
	ID   int64  `json:"id,omitempty"`
	Line string `json:"key"` // TYPE BASE64, already parsed once
}

// Directory is where teams and keys come from in bulk. There are two: REST,
// which every GitHub has, and GraphQL, which needs a hundredth of the calls.
type Directory interface {
	// Team calls each for every active member of the team and of its child
	// teams, with all their keys. It returns nil only when the list was
	// complete.
	Team(ctx context.Context, slug string, each func(Person) error) error
}

// Finder answers for one login, which is what a login can wait for.
type Finder interface {
	// Find tells the login's state in the first of the teams where it is
	// active, else in all of them, and its id and keys when it is active.
	// known is the id of the person who is meant, 0 when only the login says:
	// who has another login now is found by it. With an error, the states in the
	// answer are good as far as they go: each team stands for itself.
	Find(ctx context.Context, login string, known int64, teams []string) (Person, error)
}

// clockSkew is how far in the future a stored time may lie before the clock
// must have been set back and the entry's age says nothing.
const clockSkew = time.Minute
