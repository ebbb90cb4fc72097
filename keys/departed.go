// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"
)

// roll is what a refresh saw.
type roll struct {
	seen    map[int64]*Person
	whole   []string              // the teams that were seen to their end
	doubted map[string][]teammate // who of these is missing, and not believed to be
	start   time.Time

	answered bool // GitHub said something about one of them
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
func (s *Service) store(ctx context.Context, l *roll) error {
	ctx, cancel := context.WithTimeout(ctx, s.Config.GitHub.Timeout)
	defer cancel()
	var faults []error
	logins := map[string]bool{}
	for _, p := range l.seen {
		l.absent(p.Teams, p.ID, p.Login)
		logins[strings.ToLower(p.Login)] = true
		faults = append(faults, s.storePerson(ctx, p.Login, *p, l))
	}
	names, err := s.Cache.list("people")
	faults = append(faults, err)
	for _, name := range names {
		if !logins[name] {
			faults = append(faults, s.storePerson(ctx, name, s.departed(name, l), l))
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

// storePerson writes a record that says something new. Somebody who holds the
// lock asks about this login now, which does not take them long. What can't be
// written is an error, because the stamps speak for everybody else (stamp).
func (s *Service) storePerson(ctx context.Context, name string, p Person, l *roll) error {
	old, _ := s.Cache.record(name)
	wrong := l.answered && old.ahead(s.Now())
	if old.Origin == s.Cache.origin && !wrong && old.says(s.news(name, old, p, l)) {
		return nil
	}
	unlock, err := s.Cache.lock(ctx, "login-"+strings.ToLower(name))
	if err != nil {
		return fmt.Errorf("write what GitHub said of %q: %w", name, err)
	}
	defer unlock()
	old, _ = s.Cache.record(name)
	_, err = s.Cache.remember(name, s.news(name, old, p, l), l.start, s.Now())
	return err
}

// news is what a refresh saw of a person, but for what was asked for by itself
// since the refresh began: that is newer, and stays. Each team is asked about by
// itself, and who they are and which keys they have by itself.
func (s *Service) news(name string, old record, p Person, l *roll) Person {
	if old.Origin != s.Cache.origin {
		return p
	}
	told := s.newer(old.Told, l.start)
	if told && p.ID != 0 && p.ID != old.ID {
		p = s.departed(name, l) // another person has the login now
	}
	if told {
		p.ID, p.Login = 0, old.Login
	}
	p.Teams = maps.Clone(p.Teams)
	maps.DeleteFunc(p.Teams, func(slug string, _ State) bool { return s.newer(old.Teams[slug].At, l.start) })
	return p
}

// newer reports whether something was told since; a time from the future was
// written by a clock that was wrong.
func (s *Service) newer(at, start time.Time) bool {
	return at.After(start) && !ahead(at, s.Now())
}
