// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"context"
	"errors"
	"strings"
	"time"
)

// roll is what a refresh saw.
type roll struct {
	seen    map[int64]*Person
	whole   []string              // the teams that were seen to their end
	doubted map[string][]teammate // who of these is missing, and not believed to be
	start   time.Time
}

// absent fills in the teams that were seen whole and that the person, whose id
// may be unknown, is not in.
func (l *roll) absent(teams map[string]State, id int64, login string) {
	for _, slug := range l.whole {
		if teams[slug] == "" && !isDoubted(l.doubted[slug], id, login) {
			teams[slug] = None
		}
	}
}

// store writes the record of everybody seen, and takes the teams that were seen
// whole from everybody who wasn't in them. Each person stands for themselves:
// one whose record can't be written keeps nobody else in.
func (s *Service) store(l *roll) error {
	var faults []error
	logins := map[string]bool{}
	for _, p := range l.seen {
		l.absent(p.Teams, p.ID, p.Login)
		logins[strings.ToLower(p.Login)] = true
		faults = append(faults, s.storePerson(p.Login, *p, l.start))
	}
	names, err := s.Cache.list("people")
	faults = append(faults, err)
	for _, name := range names {
		if !logins[name] {
			faults = append(faults, s.storePerson(name, s.departed(name, l), l.start))
		}
	}
	return errors.Join(faults...)
}

// departed is what a login means that no team lists: the person we knew by it
// under a new login, or nobody. Lists don't show invitations, so those stay.
func (s *Service) departed(login string, l *roll) Person {
	r, _ := s.Cache.record(login)
	if p := l.seen[r.ID]; p != nil && r.Origin == s.Cache.origin {
		return *p
	}
	gone := Person{Login: login, Teams: map[string]State{}}
	for _, slug := range l.whole {
		if r.Teams[slug].State == Pending {
			gone.Teams[slug] = Pending
		}
	}
	l.absent(gone.Teams, r.ID, login)
	return gone
}

// storePerson writes a record that says something new. One that was asked for
// by itself since the refresh began is newer, and stays.
func (s *Service) storePerson(name string, p Person, start time.Time) error {
	old, _ := s.Cache.record(name)
	if old.Origin == s.Cache.origin && (s.newer(old, start) || old.says(p)) {
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
	if r, _ := s.Cache.record(name); r.Origin == s.Cache.origin && s.newer(r, start) {
		return nil
	}
	_, err = s.Cache.remember(name, p, start)
	return err
}

// newer reports whether a record was asked for since; one from the future was
// written by a clock that was wrong.
func (s *Service) newer(r record, start time.Time) bool {
	return r.At.After(start) && !r.At.After(s.Now().Add(clockSkew))
}
