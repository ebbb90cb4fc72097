// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"context"
	"errors"
	"slices"

	"castgate/keys/known"
)

// Refresh brings the whole cache up to date. What it could not ask stays as it
// was. It asks at once after a failure, because it is what an administrator
// runs when the failure is mended, but never before GitHub allowed it.
func (s *Service) Refresh(ctx context.Context) error {
	if s.Known.Dir == nil {
		return s.Known.Why
	}
	unlock, err := s.Known.Lock(ctx, "refresh")
	if err != nil {
		return err
	}
	defer unlock()
	if err := s.Known.MayAsk(known.Pause{}); err != nil {
		return err
	}
	if err := s.Known.MayRefresh(); err != nil {
		return err
	}
	s.Known.Sweep()
	return s.refresh(ctx, s.spare)
}

// refresh asks for all teams, then stores all people. Each team stands for
// itself: one that can't be seen stays as it was, and keeps nobody in who left
// another. When GitHub can't be asked any further, what was heard by then counts.
func (s *Service) refresh(ctx context.Context, spare func() error) error {
	l := &roll{seen: map[int64]*known.Person{}, doubted: map[string][]known.Teammate{}, start: s.Known.Now()}
	faults := s.call(ctx, l, spare)
	s.Known.Note(errors.Join(faults...))
	kept := s.keep(ctx, l)
	believed := slices.DeleteFunc(slices.Clone(l.whole), func(slug string) bool { return len(l.doubted[slug]) > 0 })
	return errors.Join(append(faults, kept, s.Known.Relist(), s.Known.Stamp(believed, l.start, l.answered, kept),
		s.Known.WriteRecipients(s.Config.SealTeams, l.whole), s.Owners.Expect(), s.prepareAll())...)
}

// freshTeams makes sure that the teams were seen whole not longer ago than the
// ttl. The fault of a failed attempt counts only when nothing is stored that
// may still be used.
func (s *Service) freshTeams(ctx context.Context, teams []string) error {
	if s.Known.SeenFresh(teams) {
		return nil
	}
	err := s.askTeams(ctx, teams)
	if s.Known.SeenLately(teams) {
		return nil
	}
	return err
}

// unlimited is for a login, which may use calls that are reserved for logins; a
// refresh may not.
func unlimited() error { return nil }

// askTeams refreshes all teams once for all processes that wait for it.
func (s *Service) askTeams(ctx context.Context, teams []string) error {
	unlock, err := s.Known.Lock(ctx, "refresh")
	if err != nil {
		return err
	}
	defer unlock()
	if s.Known.SeenFresh(teams) {
		return nil // by the process we waited for
	}
	wait := known.PauseCold
	if s.Known.SeenLately(teams) {
		wait = known.PauseWarm
	}
	if err := s.Known.MayAsk(wait); err != nil {
		return err
	}
	return s.refresh(ctx, unlimited)
}
