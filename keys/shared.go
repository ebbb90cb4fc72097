// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"castgate/keys/known"
)

// addTeams adds the keys of everybody in the account's teams. For an offered
// key its owner is looked up first: then one person is asked about, whatever
// the size of the team.
func (s *Service) addTeams(ctx context.Context, d *Decision) error {
	switch {
	case s.Known.Dir == nil:
		return s.addUnkept(ctx, d)
	case d.offered == nil:
		return s.addAll(ctx, d)
	}
	if whose, err := s.addOwner(ctx, d); whose && (err == nil || d.Allowed()) {
		return err
	}
	var fault error
	if !s.Known.SeenFresh(d.grant.Teams) {
		fault = s.freshTeams(ctx, d.grant.Teams)
		if whose, err := s.addOwner(ctx, d); whose {
			return err
		}
	}
	if !s.Known.HasLogins() { // somebody removed it
		return s.addAll(ctx, d)
	}
	d.refuse("%s belongs to no member of %s", d.Offered, strings.Join(d.grant.Teams, " or "))
	return fault
}

// addOwner adds the offered key if the list of keys knows whose it is.
func (s *Service) addOwner(ctx context.Context, d *Decision) (bool, error) {
	login := s.Known.OwnerOf(d.Offered)
	if login == "" {
		return false, nil
	}
	old, _ := s.Known.Record(login)
	r, how, err := s.person(ctx, login, old.ID, d.grant.Teams)
	if err != nil {
		d.no("%q: %s", login, err)
		return true, err
	}
	d.add(found{Record: r, how: how, teams: d.grant.Teams})
	return true, nil
}

// addAll looks at every member of every team: for an sshd that doesn't say which
// key was offered, or when nothing says whose it is.
func (s *Service) addAll(ctx context.Context, d *Decision) error {
	fault := s.freshTeams(ctx, d.grant.Teams)
	done := map[int64]bool{}
	for _, slug := range d.grant.Teams {
		t, ok := s.Known.Team(slug)
		if !ok {
			fault = errors.Join(fault, &known.Fault{Class: known.Incomplete, Op: fmt.Sprintf("read team %q", slug), Err: errNoList})
		}
		for _, m := range t.Members {
			r, how, ok := s.Known.Lately(m.Login, d.grant.Teams)
			if ok && !done[m.ID] {
				done[m.ID] = true
				d.add(found{Record: r, how: how, teams: d.grant.Teams})
			}
		}
	}
	return fault
}

var errNoList = errors.New("its list is not in the cache")

// addUnkept asks for the teams when there is no cache to keep the answer in.
func (s *Service) addUnkept(ctx context.Context, d *Decision) error {
	var fault error
	for _, slug := range d.grant.Teams {
		list, err := s.team(ctx, slug, unlimited)
		if err != nil {
			fault = err
			continue
		}
		for _, p := range list {
			p.Teams = map[string]known.State{slug: known.Active}
			d.add(found{Record: s.Known.Heard(p), how: known.Asked, teams: d.grant.Teams})
		}
	}
	return fault
}
