// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Find implements Finder with as few calls as tell it for certain: one for the
// membership, one for the id, one for the keys. They don't grow with the team.
// A team that can't be seen, or not be believed, hides no other.
func (r *REST) Find(ctx context.Context, login string, known int64, teams []string) (Person, error) {
	p := Person{Login: login, Teams: map[string]State{}}
	if err := checkLogin(login); err != nil {
		return p, err
	}
	var unseen error
	for _, slug := range teams {
		state, err := r.membership(ctx, login, slug)
		if isClass(err, Missing) {
			state, err = r.listed(ctx, &p, known, slug)
		}
		switch {
		case isClass(err, Missing) || isClass(err, Suspicious):
			unseen = errors.Join(unseen, err)
			continue
		case err != nil:
			return p, errors.Join(err, unseen)
		}
		if p.Teams[slug] = state; state == Active {
			return r.identify(ctx, p, known, slug)
		}
	}
	return p, unseen
}

// membership asks for one login and one team.
func (r *REST) membership(ctx context.Context, login, slug string) (State, error) {
	if err := checkSlug(slug); err != nil {
		return "", err
	}
	op := fmt.Sprintf("ask whether %q is in team %q", login, slug)
	m, resp, err := r.client.Teams.GetTeamMembershipBySlug(ctx, r.org, slug, login)
	if err != nil {
		return "", r.fault(op, resp, err)
	}
	switch s := State(m.GetState()); s {
	case Active, Pending:
		return s, nil
	default:
		return "", &Fault{Class: Broken, Op: op, Err: fmt.Errorf("GitHub answered with the state %q", s)}
	}
}

// listed follows a membership's 404, which says no only when the team can be
// seen: a team that was renamed, or a token that lost its rights, gets the same
// 404, and must not lock the whole team out. So the team's list is read to its
// end, and it decides: by the id of the person we knew, who may have a new
// login, else by the login.
func (r *REST) listed(ctx context.Context, p *Person, known int64, slug string) (State, error) {
	list, err := r.members(ctx, slug)
	if err != nil {
		return "", err
	}
	doubted := r.believe(slug, list)
	i := slices.IndexFunc(list, func(m Person) bool { return m.ID == known })
	if i < 0 {
		i = slices.IndexFunc(list, func(m Person) bool { return strings.EqualFold(m.Login, p.Login) })
	}
	switch {
	case i >= 0:
		p.Login, p.ID = list[i].Login, list[i].ID
		return Active, nil
	case isDoubted(doubted, known, p.Login):
		return "", shrank(slug, doubted)
	}
	return None, nil
}

// identify adds the id and the keys of a member of the team. Where the login is
// another person's than the one who is meant, theirs is looked for in the team.
func (r *REST) identify(ctx context.Context, p Person, known int64, slug string) (Person, error) {
	p, err := r.profile(ctx, p, slug)
	if err == nil && known != 0 && p.ID != known {
		if _, err = r.listed(ctx, &p, known, slug); err == nil && p.ID == known {
			p, err = r.profile(ctx, p, slug)
		}
	}
	if err != nil {
		return p, err
	}
	if p.ID <= 0 || checkLogin(p.Login) != nil {
		return p, &Fault{Class: Broken, Op: fmt.Sprintf("ask who %q is", p.Login), Err: errors.New("GitHub answered without a login or an id")}
	}
	p.Keys, err = r.keys(ctx, p.Login)
	return p, err
}

// profile asks who a login is, and whether they are suspended: an Enterprise
// Server says so here alone, and github.com of managed users (name.go).
func (r *REST) profile(ctx context.Context, p Person, slug string) (Person, error) {
	op := fmt.Sprintf("ask who %q is", p.Login)
	u, resp, err := r.client.Users.Get(ctx, p.Login)
	if err == nil {
		p.Login, p.ID = u.GetLogin(), u.GetID()
		p.Suspended = u.SuspendedAt != nil || hashed(p.Login)
		return p, nil
	}
	err = r.fault(op, resp, err)
	if isClass(err, Missing) && p.ID == 0 { // a member, whom the list shows too
		_, err = r.listed(ctx, &p, 0, slug)
	} else if isClass(err, Missing) {
		err = nil
	}
	return p, err
}
