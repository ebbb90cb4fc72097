// SPDX-License-Identifier: AGPL-3.0-or-later

package github

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"castgate/keys/known"
	"castgate/keys/settings"
)

// Find implements Finder with as few calls as tell it for certain: one for the
// membership, one for the id, one for the keys. They don't grow with the team.
// A team that can't be seen, or not be believed, hides no other.
func (r *REST) Find(ctx context.Context, login string, id int64, teams []string) (known.Person, error) {
	p := known.Person{Login: login, Teams: map[string]known.State{}}
	if err := settings.CheckLogin(login); err != nil {
		return p, err
	}
	var unseen error
	for _, slug := range teams {
		state, err := r.membership(ctx, login, slug)
		if known.Is(err, known.Missing) {
			state, err = r.listed(ctx, &p, id, slug)
		}
		switch {
		case known.Is(err, known.Missing) || known.Is(err, known.Suspicious):
			unseen = errors.Join(unseen, err)
			continue
		case err != nil:
			return p, errors.Join(err, unseen)
		}
		if p.Teams[slug] = state; state == known.Active {
			return r.identify(ctx, p, id, slug)
		}
	}
	return p, unseen
}

// membership asks for one login and one team.
func (r *REST) membership(ctx context.Context, login, slug string) (known.State, error) {
	if err := settings.CheckSlug(slug); err != nil {
		return "", err
	}
	op := fmt.Sprintf("ask whether %q is in team %q", login, slug)
	m, resp, err := r.client.Teams.GetTeamMembershipBySlug(ctx, r.org, slug, login)
	if err != nil {
		return "", r.fault(op, resp, err)
	}
	switch s := known.State(m.GetState()); s {
	case known.Active, known.Pending:
		return s, nil
	default:
		return "", &known.Fault{Class: known.Broken, Op: op, Err: fmt.Errorf("GitHub answered with the state %q", s)}
	}
}

// listed follows a membership's 404, which says no only when the team can be
// seen: a team that was renamed, or a token that lost its rights, gets the same
// 404, and must not lock the whole team out. So the team's list is read to its
// end, and it decides: by the id of the person we knew, who may have a new
// login, else by the login.
func (r *REST) listed(ctx context.Context, p *known.Person, id int64, slug string) (known.State, error) {
	list, err := r.members(ctx, slug)
	if err != nil {
		return "", err
	}
	doubted := r.believe(slug, list)
	i := slices.IndexFunc(list, func(m known.Person) bool { return m.ID == id })
	if i < 0 {
		i = slices.IndexFunc(list, func(m known.Person) bool { return strings.EqualFold(m.Login, p.Login) })
	}
	switch {
	case i >= 0:
		p.Login, p.ID = list[i].Login, list[i].ID
		return known.Active, nil
	case known.Doubts(doubted, id, p.Login):
		return "", known.Shrank(slug, doubted)
	}
	return known.None, nil
}

// identify adds the id and the keys of a member of the team. Where the login is
// another person's than the one who is meant, theirs is looked for in the team.
func (r *REST) identify(ctx context.Context, p known.Person, id int64, slug string) (known.Person, error) {
	p, err := r.profile(ctx, p, slug)
	if err == nil && id != 0 && p.ID != id {
		if _, err = r.listed(ctx, &p, id, slug); err == nil && p.ID == id {
			p, err = r.profile(ctx, p, slug)
		}
	}
	if err != nil {
		return p, err
	}
	if p.ID <= 0 || settings.CheckLogin(p.Login) != nil {
		return p, &known.Fault{Class: known.Broken, Op: fmt.Sprintf("ask who %q is", p.Login), Err: errors.New("GitHub answered without a login or an id")}
	}
	p.Keys, err = r.keys(ctx, p.Login)
	return p, err
}

// profile asks who a login is, and whether they are suspended: an Enterprise
// Server says so here alone, and github.com of managed users (settings.SuspendedName).
func (r *REST) profile(ctx context.Context, p known.Person, slug string) (known.Person, error) {
	op := fmt.Sprintf("ask who %q is", p.Login)
	u, resp, err := r.client.Users.Get(ctx, p.Login)
	if err == nil {
		p.Login, p.ID = u.GetLogin(), u.GetID()
		p.Suspended = u.SuspendedAt != nil || settings.SuspendedName(p.Login)
		return p, nil
	}
	err = r.fault(op, resp, err)
	if known.Is(err, known.Missing) && p.ID == 0 { // a member, whom the list shows too
		_, err = r.listed(ctx, &p, 0, slug)
	} else if known.Is(err, known.Missing) {
		err = nil
	}
	return p, err
}
