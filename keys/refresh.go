// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"context"
	"errors"
	"time"
)

// Refresh brings the whole cache up to date. What it could not ask stays as it
// was. It asks at once after a failure, because it is what an administrator
// runs when the failure is mended, but never before GitHub allowed it.
func (s *Service) Refresh(ctx context.Context) error {
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

// refresh asks for all teams, then stores all people. A team that can't be seen
// stays as it was. When GitHub can't be asked any further, what was seen of
// people is kept, but nobody counts as gone.
func (s *Service) refresh(ctx context.Context, spare func(time.Time) error) (err error) {
	defer func() { s.Cache.heard(err, s.Now()) }()
	start := s.Now()
	seen := map[int64]*Person{}
	stamps := s.Cache.stamps()
	if stamps.Origin != s.Cache.origin {
		stamps = bulk{map[string]time.Time{}, s.Cache.origin}
	}
	var whole []string
	var faults []error
	for _, slug := range s.Config.AllTeams() {
		list, err := s.askTeam(ctx, slug, spare)
		if err == nil {
			err = s.believe(slug, list, start)
		}
		switch {
		case err == nil:
			merge(seen, list, slug)
			stamps.Teams[slug] = start
			whole = append(whole, slug)
		case isClass(err, Broken) || isClass(err, Limited) || isClass(err, BadToken):
			merge(seen, list, slug)
			return errors.Join(append(faults, err, s.store(seen, start))...)
		default:
			faults = append(faults, err)
		}
	}
	err = first(
		func() error { return s.storeWhole(seen, whole, start) },
		s.Cache.relist,
		func() error { return s.Cache.save(bulkName, 0o644, stamps) },
		func() error { return s.Cache.writeRecipients(s.Config.SealTeams, whole) },
		s.prepareAll,
	)
	return errors.Join(append(faults, err)...)
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
