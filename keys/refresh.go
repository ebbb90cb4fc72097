// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"
)

// Refresh brings the whole cache up to date. What it could not ask stays as it
// was. It asks at once after a failure, because it is what an administrator
// runs when the failure is mended, but never before GitHub allowed it.
func (s *Service) Refresh(ctx context.Context) error {
	if !s.Config.Configured() {
		return nil // nothing to ask for
	}
	if s.Cache == nil {
		return s.cacheErr
	}
	unlock, err := s.Cache.lock(ctx, "refresh")
	if err != nil {
		return err
	}
	defer unlock()
	if err := s.Cache.mayAsk(s.Now(), rest{}); err != nil {
		return err
	}
	if err := s.Cache.maySpare(s.Now()); err != nil {
		return err
	}
	s.sweep()
	return s.refresh(ctx, s.rate.spare)
}

// refresh asks for all teams, then stores all people. Each team stands for
// itself: one that can't be seen stays as it was, and keeps nobody in who left
// another. When GitHub can't be asked any further, what was heard by then counts.
func (s *Service) refresh(ctx context.Context, spare func(time.Time) error) error {
	l := &roll{seen: map[int64]*Person{}, doubted: map[string][]teammate{}, start: s.Now()}
	faults := s.call(ctx, l, spare)
	s.Cache.heard(errors.Join(faults...), s.Now())
	stored := s.store(ctx, l)
	return errors.Join(append(faults, stored, s.Cache.relist(), s.stamp(l, stored),
		s.Cache.writeRecipients(s.Config.SealTeams, l.whole), s.expect(), s.prepareAll())...)
}

// call asks for every team until GitHub can't be asked any further.
func (s *Service) call(ctx context.Context, l *roll, spare func(time.Time) error) (faults []error) {
	for _, slug := range s.Config.AllTeams() {
		list, err := s.askTeam(ctx, slug, spare)
		over := isClass(err, Broken) || isClass(err, Limited) || isClass(err, BadToken)
		if err == nil {
			l.whole = append(l.whole, slug)
			l.doubted[slug] = s.believe(slug, list, l.start)
			err = shrank(slug, l.doubted[slug])
		}
		l.answered = l.answered || err == nil || isClass(err, Suspicious) || isClass(err, Missing)
		if err == nil || over || isClass(err, Suspicious) {
			merge(l.seen, list, slug)
		}
		if over {
			return append([]error{err}, faults...) // it concerns the next question, too
		}
		if err != nil {
			faults = append(faults, err)
		}
	}
	return faults
}

// stamp notes which teams were seen whole. It speaks for everybody of whom
// nothing was written, so that it is for this process alone where somebody could
// not be, and it is not for a team of which not everything is believed. A GitHub
// that answers shows that a time which is to come was written by a wrong clock.
func (s *Service) stamp(l *roll, stored error) error {
	stamps := s.Cache.stamps()
	if stamps.Origin != s.Cache.origin {
		stamps = bulk{map[string]time.Time{}, s.Cache.origin}
	}
	known, named := len(stamps.Teams), s.Config.AllTeams()
	maps.DeleteFunc(stamps.Teams, func(slug string, at time.Time) bool {
		return l.answered && (!slices.Contains(named, slug) || ahead(at, s.Now()))
	})
	fresh := slices.DeleteFunc(slices.Clone(l.whole), func(slug string) bool { return len(l.doubted[slug]) > 0 })
	said := len(fresh) > 0 || len(stamps.Teams) < known
	for _, slug := range fresh {
		stamps.Teams[slug] = l.start
	}
	switch {
	case !said:
		return nil // castgate check tells by the file when GitHub last answered
	case stored != nil:
		return s.Cache.keep(bulkName, stamps)
	}
	return s.Cache.save(bulkName, 0o644, stamps)
}

// askTeam asks the first directory that can answer. With an error it returns
// those who were seen before.
func (s *Service) askTeam(ctx context.Context, slug string, spare func(time.Time) error) (list []Person, err error) {
	for _, dir := range s.Bulk {
		list = nil
		err = dir.Team(ctx, slug, func(p Person) error {
			list = append(list, p)
			return spare(s.Now())
		})
		if err == nil || isClass(err, Limited) || ctx.Err() != nil {
			break
		}
	}
	return list, err
}

func merge(seen map[int64]*Person, list []Person, slug string) {
	for _, p := range list {
		if seen[p.ID] == nil {
			p.Teams = map[string]State{}
			seen[p.ID] = &p
		}
		seen[p.ID].Teams[slug] = Active
	}
}
