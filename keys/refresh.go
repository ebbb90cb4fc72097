// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// team is what the cache keeps of a team: enough to list a shared account and
// to see that a team shrank.
type team struct {
	At      time.Time  `json:"at"`
	Members []teammate `json:"members"`
	Shrunk  *shrunk    `json:"shrunk,omitempty"`
	Origin  origin     `json:"origin"`
}

// shrunk is a list that is not believed yet: how short it was, and when.
type shrunk struct {
	Size int       `json:"size"`
	At   time.Time `json:"at"`
}

// confirmAfter must pass before a second list as short is believed: two logins
// in one second see the same mistake.
const confirmAfter = time.Minute

type teammate struct {
	Login string `json:"login"`
	ID    int64  `json:"id"`
}

// team is what is known of a team; empty, but for its origin, when nothing is.
func (c *Cache) team(slug string) (team, bool) {
	var t team
	if c == nil {
		return t, false
	}
	if !c.load(teamName(slug), &t) || t.Origin.Org != c.origin.Org {
		return team{Origin: c.origin}, false
	}
	return t, true
}

func teamName(slug string) string { return "teams/" + strings.ToLower(slug) }

// bulk says when each team was last seen whole, and who of it was stored.
type bulk struct {
	Teams  map[string]time.Time `json:"teams"`
	Origin origin               `json:"origin"`
}

const bulkName = "bulk"

// stamps are the times when each team was last seen whole.
func (c *Cache) stamps() bulk {
	var b bulk
	if !c.load(bulkName, &b) || b.Teams == nil || b.Origin.Org != c.origin.Org {
		b = bulk{Teams: map[string]time.Time{}}
		if c != nil {
			b.Origin = c.origin
		}
	}
	return b
}

// seenWithin reports whether the last refresh that saw all of the teams is not
// longer ago than limit.
func (s *Service) seenWithin(teams []string, limit time.Duration) bool {
	stamps := s.Cache.stamps()
	var oldest time.Time
	for i, slug := range teams {
		if at := stamps.Teams[slug]; i == 0 || at.Before(oldest) {
			oldest = at
		}
	}
	d, ok := s.age(oldest, stamps.Origin)
	return ok && d < limit
}

// age of a fact; one that another URL told is past its ttl from the start.
func (s *Service) age(at time.Time, from origin) (time.Duration, bool) {
	d, ok := age(s.Now(), at)
	if s.Cache != nil && from != s.Cache.origin {
		d = max(d, s.Config.Cache.TTL)
	}
	return d, ok
}

// AllTeams lists every team the configuration names, each once.
func (c *Config) AllTeams() []string {
	all := slices.Clone(c.Teams)
	for _, name := range slices.Sorted(maps.Keys(c.Accounts)) {
		all = append(all, c.Accounts[name].Teams...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Refresh brings the whole cache up to date. What it could not ask stays as it
// was. It asks at once after a failure, because it is what an administrator
// runs when the failure is mended, but never before GitHub allowed it.
func (s *Service) Refresh(ctx context.Context) error {
	if s.Cache == nil {
		return errors.New("there is no cache to refresh")
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

// believe stores the list of a team, unless it shrank more than is likely: to
// nobody, or to less than half. Then the old list stays, and only a second
// list that is as short replaces it: somebody who empties the team by mistake,
// or a GitHub that lists it wrongly, does not lock everybody out at once.
func (s *Service) believe(slug string, list []Person, at time.Time) error {
	old, _ := s.Cache.team(slug)
	now := team{At: at, Members: make([]teammate, 0, len(list))}
	if s.Cache != nil {
		if now.Origin = s.Cache.origin; old.Origin != now.Origin {
			old = team{Origin: now.Origin} // another GitHub's team may have been larger
		}
	}
	for _, p := range list {
		now.Members = append(now.Members, teammate{p.Login, p.ID})
	}
	if 2*len(list) >= len(old.Members) || old.Shrunk.confirms(len(list), at) {
		return s.Cache.save(teamName(slug), 0o644, now)
	}
	fault := &Fault{Class: Suspicious, Op: fmt.Sprintf("list team %q", slug), Err: fmt.Errorf("it shrank from %d members to %d", len(old.Members), len(list))}
	if old.Shrunk == nil || len(list) < old.Shrunk.Size {
		old.Shrunk = &shrunk{len(list), at}
		return errors.Join(fault, s.Cache.save(teamName(slug), 0o644, old))
	}
	return fault
}

func (s *shrunk) confirms(size int, at time.Time) bool {
	return s != nil && size >= s.Size && at.Sub(s.At) >= confirmAfter
}

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
	_, err := s.Cache.remember(name, p, start)
	return err
}

// sweep removes what processes that were killed have left, and answers to
// revalidate that no question has used for a week.
func (s *Service) sweep() {
	for _, dir := range []string{".", "people", "teams", "accounts", etagDir} {
		entries, _ := fs.ReadDir(s.Cache.root.FS(), dir)
		for _, e := range entries {
			info, err := e.Info()
			if err != nil || !info.Mode().IsRegular() {
				continue
			}
			old := time.Since(info.ModTime())
			if strings.HasSuffix(e.Name(), tmpSuffix) && old > time.Hour || dir == etagDir && old > 7*24*time.Hour {
				_ = s.Cache.root.Remove(path.Join(dir, e.Name()))
			}
		}
	}
}

// list names the files of a directory of the cache.
func (c *Cache) list(dir string) ([]string, error) {
	entries, err := fs.ReadDir(c.root.FS(), dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range entries {
		if e.Type().IsRegular() && !strings.HasSuffix(e.Name(), tmpSuffix) {
			names = append(names, e.Name())
		}
	}
	return names, err
}
