// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"context"
	"strings"
	"time"
)

// store writes the records of people who were seen in a team.
func (s *Service) store(seen map[int64]*Person, start time.Time) error {
	for _, p := range seen {
		if err := s.storePerson(p.Login, *p, start); err != nil {
			return err
		}
	}
	return nil
}

// storeWhole writes the record of everybody seen, and takes the teams that were
// seen whole from everybody who wasn't in them.
func (s *Service) storeWhole(seen map[int64]*Person, whole []string, start time.Time) error {
	logins := map[string]bool{}
	for _, p := range seen {
		for _, slug := range whole {
			if p.Teams[slug] == "" {
				p.Teams[slug] = None
			}
		}
		logins[strings.ToLower(p.Login)] = true
	}
	if err := s.store(seen, start); err != nil {
		return err
	}
	names, err := s.Cache.list("people")
	if err != nil {
		return err
	}
	for _, name := range names {
		if logins[name] {
			continue
		}
		if err := s.storePerson(name, s.departed(name, seen, whole), start); err != nil {
			return err
		}
	}
	return nil
}

// departed is what a login means that no team lists: the person we knew by it
// under a new login, or nobody. Lists don't show invitations, so those stay.
func (s *Service) departed(login string, seen map[int64]*Person, whole []string) Person {
	r, _ := s.Cache.record(login)
	if p := seen[r.Pinned]; p != nil && r.Origin == s.Cache.origin {
		return *p
	}
	gone := Person{Login: login, Teams: map[string]State{}}
	for _, slug := range whole {
		if gone.Teams[slug] = None; r.Teams[slug].State == Pending {
			gone.Teams[slug] = Pending
		}
	}
	return gone
}

// storePerson writes a record that says something new. One that was asked for
// by itself since the refresh began is newer, and stays.
func (s *Service) storePerson(name string, p Person, start time.Time) error {
	old, _ := s.Cache.record(name)
	if old.Origin == s.Cache.origin && (old.At.After(start) || old.says(p)) {
		return nil
	}
	// Somebody who holds the lock asks about this login now, and knows better.
	once, cancel := context.WithCancel(context.Background())
	cancel()
	unlock, err := s.Cache.lock(once, "login-"+strings.ToLower(name))
	if err != nil {
		return nil
	}
	defer unlock()
	if r, _ := s.Cache.record(name); r.Origin == s.Cache.origin && r.At.After(start) {
		return nil
	}
	_, err = s.Cache.remember(name, p, start)
	return err
}
