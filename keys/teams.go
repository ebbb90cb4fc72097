// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// addTeams adds the keys of everybody in the account's teams. For an offered
// key its owner is looked up first: then one person is asked about, whatever
// the size of the team.
func (s *Service) addTeams(ctx context.Context, d *Decision, g grant, offered *Key) error {
	switch {
	case s.Cache == nil:
		return s.addUnkept(ctx, d, g, offered)
	case offered == nil:
		return s.addAll(ctx, d, g, nil)
	}
	if found, err := s.addOwner(ctx, d, g, offered); found && (err == nil || d.Allowed()) {
		return err
	}
	var fault error
	if !s.seenWithin(g.teams, s.Config.Cache.TTL) {
		fault = s.freshTeams(ctx, g.teams)
		if found, err := s.addOwner(ctx, d, g, offered); found {
			return err
		}
	}
	if !s.Cache.hasLogins() { // somebody removed it
		return s.addAll(ctx, d, g, offered)
	}
	d.refuse("%s belongs to no member of %s", d.Offered, strings.Join(g.teams, " or "))
	return fault
}

// addOwner adds the offered key if the list of keys knows whose it is.
func (s *Service) addOwner(ctx context.Context, d *Decision, g grant, offered *Key) (bool, error) {
	login := s.Cache.ownerOf(offered.Fingerprint())
	if login == "" {
		return false, nil
	}
	known, _ := s.Cache.record(login)
	r, how, err := s.person(ctx, login, known.ID, g.teams)
	if err != nil {
		d.no("%q: %s", login, err)
		return true, err
	}
	s.add(d, g, found{record: r, how: how, teams: g.teams}, offered)
	return true, nil
}

// freshTeams makes sure that the teams were seen whole not longer ago than the
// ttl. The fault of a failed attempt counts only when nothing is stored that
// may still be used.
func (s *Service) freshTeams(ctx context.Context, teams []string) error {
	if s.seenWithin(teams, s.Config.Cache.TTL) {
		return nil
	}
	err := s.askTeams(ctx, teams)
	if s.seenUsably(teams) {
		return nil
	}
	return err
}

// unspared lets a login use whatever is left of the limit.
func unspared(time.Time) error { return nil }

// askTeams refreshes all teams once for all processes that wait for it.
func (s *Service) askTeams(ctx context.Context, teams []string) error {
	unlock, err := s.Cache.lock(ctx, "refresh")
	if err != nil {
		return err
	}
	defer unlock()
	if s.seenWithin(teams, s.Config.Cache.TTL) {
		return nil // by the process we waited for
	}
	wait := restCold
	if s.seenUsably(teams) {
		wait = restWarm
	}
	if err := s.Cache.mayAsk(s.Now(), wait); err != nil {
		return err
	}
	return s.refresh(ctx, unspared)
}

// addAll looks at every member of every team: for an sshd that doesn't say which
// key was offered, or when nothing says whose it is.
func (s *Service) addAll(ctx context.Context, d *Decision, g grant, offered *Key) error {
	fault := s.freshTeams(ctx, g.teams)
	done := map[int64]bool{}
	for _, slug := range g.teams {
		t, ok := s.Cache.team(slug)
		if !ok {
			fault = errors.Join(fault, &Fault{Class: Incomplete, Op: fmt.Sprintf("read team %q", slug), Err: errNoList})
		}
		for _, m := range t.Members {
			r, how, ok := s.usable(m.Login, g.teams)
			if ok && !done[m.ID] {
				done[m.ID] = true
				s.add(d, g, found{record: r, how: how, teams: g.teams}, offered)
			}
		}
	}
	return fault
}

// addUnkept asks for the teams when there is no cache to keep the answer in.
func (s *Service) addUnkept(ctx context.Context, d *Decision, g grant, offered *Key) error {
	var fault error
	for _, slug := range g.teams {
		list, err := s.askTeam(ctx, slug, unspared)
		if err != nil {
			fault = err
			continue
		}
		for _, p := range list {
			var r record
			p.Teams = map[string]State{slug: Active}
			r.learn(p, s.Now())
			s.add(d, g, found{record: r, how: answer{source: "github"}, teams: g.teams}, offered)
		}
	}
	return fault
}
