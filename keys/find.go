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
func (r *REST) Find(ctx context.Context, login string, known int64, teams []string) (Person, error) {
	p := Person{Login: login, Teams: map[string]State{}}
	if err := checkLogin(login); err != nil {
		return p, err
	}
	for _, slug := range teams {
		state, err := r.membership(ctx, login, slug)
		if isClass(err, Missing) {
			state, err = r.listed(ctx, &p, known, slug)
		}
		if err != nil {
			return p, err
		}
		if p.Teams[slug] = state; state == Active {
			return r.identify(ctx, p, slug)
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

// listed follows a membership's 404, which says no only when the team can be
// seen: a team that was renamed, or a token that lost its rights, gets the same
// 404, and must not lock the whole team out. So the team's list is read to its
// end, and it decides: by the id of the person we knew, who may have a new
// login, else by the login.
func (r *REST) listed(ctx context.Context, p *Person, known int64, slug string) (State, error) {
	list, err := r.members(ctx, slug)
	if err == nil {
		err = r.believe(slug, list)
	}
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(list, func(m Person) bool { return m.ID == known })
	if i < 0 {
		i = slices.IndexFunc(list, func(m Person) bool { return strings.EqualFold(m.Login, p.Login) })
	}
	if i < 0 {
		return None, nil
	}
	p.Login, p.ID = list[i].Login, list[i].ID
	return Active, nil
}

// identify adds the id and the keys of a member of the team. Login and id may
// have parted since the last answer; the pinned id (people.go) is what sees that.
func (r *REST) identify(ctx context.Context, p Person, slug string) (Person, error) {
	op := fmt.Sprintf("ask who %q is", p.Login)
	var err error
	if p.ID == 0 || r.suspended {
		u, resp, uerr := r.client.Users.Get(ctx, p.Login)
		switch {
		case uerr == nil:
			p.Login, p.ID = u.GetLogin(), u.GetID()
			p.Suspended = u.SuspendedAt != nil // GitHub Enterprise Server
		case isClass(r.fault(op, resp, uerr), Missing): // a member, whom the list shows too
			_, err = r.listed(ctx, &p, 0, slug)
		default:
			err = r.fault(op, resp, uerr)
		}
	}
	if err != nil {
		return p, err
	}
	if p.ID <= 0 || checkLogin(p.Login) != nil {
		return p, &Fault{Class: Broken, Op: op, Err: errors.New("GitHub answered without a login or an id")}
	}
	p.Keys, err = r.keys(ctx, p.Login)
	return p, err
}
