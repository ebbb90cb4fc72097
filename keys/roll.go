// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"castgate/keys/known"
)

// roll is what a refresh saw.
type roll struct {
	seen    map[int64]*known.Person
	whole   []string                    // the teams that were seen to their end
	doubted map[string][]known.Teammate // who of these is missing, and not believed to be
	start   time.Time

	answered bool // GitHub said something about one of them
}

// absent fills in the teams that were seen whole and that the person, whose id
// may be unknown, is not in.
func (l *roll) absent(teams map[string]known.State, id int64, login string) {
	for _, slug := range l.whole {
		if teams[slug] == "" && !known.Doubts(l.doubted[slug], id, login) {
			teams[slug] = known.None
		}
	}
}

// keep writes the record of everybody seen, and takes the teams that were seen
// whole from everybody who wasn't in them. Each person stands for themselves:
// one whose record can't be written keeps nobody else in.
func (a *asker) keep(ctx context.Context, l *roll) error {
	ctx, cancel := context.WithTimeout(ctx, a.conf.GitHub.Timeout)
	defer cancel()
	var faults []error
	logins := map[string]bool{}
	for _, p := range l.seen {
		l.absent(p.Teams, p.ID, p.Login)
		logins[strings.ToLower(p.Login)] = true
		faults = append(faults, a.storePerson(ctx, p.Login, *p, l))
	}
	names, err := a.store.Logins()
	faults = append(faults, err)
	for _, name := range names {
		if !logins[name] {
			faults = append(faults, a.storePerson(ctx, name, a.departed(name, l), l))
		}
	}
	return errors.Join(faults...)
}

// departed is what a login means that no team lists: the person we knew by it
// under a new login, or nobody. Lists don't show invitations, so those stay.
func (a *asker) departed(login string, l *roll) known.Person {
	r, _ := a.store.Record(login)
	if p := l.seen[r.ID]; p != nil && r.Origin == a.store.Origin {
		return *p
	}
	gone := known.Person{Login: login, Teams: map[string]known.State{}}
	for _, slug := range l.whole {
		if r.Teams[slug].State == known.Pending {
			gone.Teams[slug] = known.Pending
		}
	}
	l.absent(gone.Teams, r.ID, login)
	return gone
}

// storePerson writes a record that says something new. Somebody who holds the
// lock asks about this login now, which does not take them long. What can't be
// written is an error, because the stamps speak for everybody else (stamp).
func (a *asker) storePerson(ctx context.Context, name string, p known.Person, l *roll) error {
	old, _ := a.store.Record(name)
	wrong := l.answered && old.Ahead(a.store.Now())
	if old.Origin == a.store.Origin && !wrong && old.Says(a.news(name, old, p, l)) {
		return nil
	}
	unlock, err := a.store.Lock(ctx, "login-"+strings.ToLower(name))
	if err != nil {
		return fmt.Errorf("write what GitHub said of %q: %w", name, err)
	}
	defer unlock()
	old, _ = a.store.Record(name)
	_, err = a.store.Remember(name, a.news(name, old, p, l), l.start)
	return err
}

// news is what a refresh saw of a person, but for what was asked for by itself
// since the refresh began: that is newer, and stays. Each team is asked about by
// itself, and who they are and which keys they have by itself.
func (a *asker) news(name string, old known.Record, p known.Person, l *roll) known.Person {
	if old.Origin != a.store.Origin {
		return p
	}
	told := a.newer(old.Told, l.start)
	if told && p.ID != 0 && p.ID != old.ID {
		p = a.departed(name, l) // another person has the login now
	}
	if told {
		p.ID, p.Login = 0, old.Login
	}
	p.Teams = maps.Clone(p.Teams)
	maps.DeleteFunc(p.Teams, func(slug string, _ known.State) bool { return a.newer(old.Teams[slug].At, l.start) })
	return p
}

// newer reports whether something was told since; a time from the future was
// written by a clock that was wrong.
func (a *asker) newer(at, start time.Time) bool {
	return at.After(start) && !known.Ahead(at, a.store.Now())
}
