// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Find implements Finder with as few calls as tell it for certain: one for the
// membership, one for the id, one for the keys. They don't grow with the team.
func (r *REST) Find(ctx context.Context, login string, known int64, teams []string) (Person, error) {
	p := Person{Login: login, Teams: map[string]State{}}
	if err := checkLogin(login); err != nil {
		return p, err
	}
	for _, slug := range teams {
		state, err := r.membership(ctx, login, slug)
		if isClass(err, Missing) {
			state, p.Login, err = r.confirmNone(ctx, login, known, slug)
		}
		if err != nil {
			return p, err
		}
		if p.Teams[slug] = state; state == Active {
			return r.identify(ctx, p)
		}
	}
	return p, nil
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

// confirmNone follows a membership's 404, which says no only when the team can
// be seen: a team that was renamed, or a token that lost its rights, gets the
// same 404, and must not lock the whole team out. So the team's list is read
// to its end. It also shows whether the person we knew has a new login.
func (r *REST) confirmNone(ctx context.Context, login string, known int64, slug string) (State, string, error) {
	list, err := r.members(ctx, slug)
	if err == nil {
		err = r.believe(slug, list)
	}
	if err != nil {
		return "", login, err
	}
	for _, m := range list {
		if m.ID == known {
			return Active, m.Login, nil
		}
		if strings.EqualFold(m.Login, login) {
			err := errors.New("its list and its membership disagree")
			return "", login, &Fault{Class: Broken, Op: fmt.Sprintf("ask team %q for %q", slug, login), Err: err}
		}
	}
	return None, login, nil
}

// identify adds the id and the keys of a member. Login and id may have parted
// since the last answer; the pinned id (people.go) is what sees that.
func (r *REST) identify(ctx context.Context, p Person) (Person, error) {
	op := fmt.Sprintf("ask who %q is", p.Login)
	u, resp, err := r.client.Users.Get(ctx, p.Login)
	if err != nil {
		return p, r.fault(op, resp, err)
	}
	if u.GetID() <= 0 || checkLogin(u.GetLogin()) != nil {
		return p, &Fault{Class: Broken, Op: op, Err: errors.New("GitHub answered without a login or an id")}
	}
	p.Login, p.ID = u.GetLogin(), u.GetID()
	p.Suspended = u.SuspendedAt != nil // GitHub Enterprise Server
	p.Keys, err = r.keys(ctx, p.Login)
	return p, err
}
