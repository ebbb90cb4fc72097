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
//     the id that it was pinned to (package owners).
//  4. Any other account is opened by nobody: a login can be changed to any
//     name that an account has.
//
// What GitHub said, and for how long it is believed, is in package known; how it
// is asked, in package github.
package keys

import (
	"context"

	"castgate/keys/known"
)

// Directory is where teams and keys come from in bulk. There are two: REST,
// which every GitHub has, and GraphQL, which needs a hundredth of the calls.
type Directory interface {
	// Team calls each for every active member of the team and of its child
	// teams, with all their keys. It returns nil only when the list was
	// complete.
	Team(ctx context.Context, slug string, each func(known.Person) error) error
}

// Finder answers for one login, which is what a login can wait for.
type Finder interface {
	// Find tells the login's state in the first of the teams where it is
	// active, else in all of them, and its id and keys when it is active.
	// id is that of the person who is meant, 0 when only the login says:
	// who has another login now is found by it. With an error, the states in the
	// answer are good as far as they go: each team stands for itself.
	Find(ctx context.Context, login string, id int64, teams []string) (known.Person, error)
}

// nowhere is a GitHub that can't be called.
type nowhere struct{ err error }

func (n nowhere) fault() error {
	return &known.Fault{Class: known.Broken, Op: "call GitHub", Err: n.err}
}

// Find implements Finder.
func (n nowhere) Find(context.Context, string, int64, []string) (known.Person, error) {
	return known.Person{}, n.fault()
}

// Team implements Directory.
func (n nowhere) Team(context.Context, string, func(known.Person) error) error { return n.fault() }
