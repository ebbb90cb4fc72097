// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// team is what the cache keeps of a team: enough to list a shared account and
// to see that a team shrank.
type team struct {
	At      time.Time  `json:"at"`
	Members []teammate `json:"members"`
	Shrunk  *int       `json:"shrunk,omitempty"` // size of a list not yet believed
}

type teammate struct {
	Login string `json:"login"`
	ID    int64  `json:"id"`
}

func teamName(slug string) string { return "teams/" + strings.ToLower(slug) }

// bulk says when each team was last seen whole, and who of it was stored.
type bulk struct {
	Teams map[string]time.Time `json:"teams"`
}

const bulkName = "bulk"

// refreshed is when the last refresh saw all of the teams, zero for never.
func (c *Cache) refreshed(teams []string) time.Time {
	var b bulk
	if len(teams) == 0 || !c.load(bulkName, &b) {
		return time.Time{}
	}
	at := b.Teams[teams[0]]
	for _, slug := range teams[1:] {
		if t := b.Teams[slug]; t.Before(at) {
			at = t
		}
	}
	return at
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
// was; the errors of all teams are returned together.
func (s *Service) Refresh(ctx context.Context) error {
	if s.Cache == nil {
		return errors.New("there is no cache to refresh")
	}
	unlock, err := s.Cache.lock(ctx, "refresh")
	if err != nil {
		return err
	}
	defer unlock()
	if err := s.Cache.mayAsk(s.Now(), false); err != nil {
		return err
	}
	err = s.refresh(ctx)
	s.Cache.heard(err, s.Now())
	return err
}

// refresh asks for all teams, then stores all people: a person is in the cache
// with all their teams or as before.
func (s *Service) refresh(ctx context.Context) error {
	start := s.Now()
	seen := map[int64]*Person{}
	stamps := bulk{Teams: map[string]time.Time{}}
	s.Cache.load(bulkName, &stamps)
	for _, slug := range s.Config.AllTeams() {
		if err := s.refreshTeam(ctx, slug, start, seen); err != nil {
			return err
		}
		stamps.Teams[slug] = start
	}
	if err := s.storePeople(seen, start); err != nil {
		return err
	}
	if err := s.Cache.relist(); err != nil {
		return err
	}
	return s.Cache.save(bulkName, 0o644, stamps)
}

func (s *Service) refreshTeam(ctx context.Context, slug string, start time.Time, seen map[int64]*Person) error {
	var list []Person
	var err error
	for _, dir := range s.Bulk {
		list = nil
		err = dir.Team(ctx, slug, func(p Person) error {
			list = append(list, p)
			return nil
		})
		if err == nil || isClass(err, Limited) || ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		return err
	}
	if err := s.believe(slug, list, start); err != nil {
		return err
	}
	for _, p := range list {
		if seen[p.ID] == nil {
			seen[p.ID] = &p
		}
		seen[p.ID].Teams[slug] = Active
	}
	return nil
}

// believe stores the list of a team, unless it shrank more than is likely: to
// nobody, or to less than half. Then the old list stays, and only a second
// list that is as small replaces it: somebody who empties the team by mistake,
// or a GitHub that lists it wrongly, does not lock everybody out at once.
func (s *Service) believe(slug string, list []Person, at time.Time) error {
	var old team
	s.Cache.load(teamName(slug), &old)
	now := team{At: at, Members: make([]teammate, 0, len(list))}
	for _, p := range list {
		now.Members = append(now.Members, teammate{p.Login, p.ID})
	}
	shrank := 2*len(list) < len(old.Members)
	if confirmed := old.Shrunk != nil && len(list) <= *old.Shrunk; shrank && !confirmed {
		n := len(list)
		old.Shrunk = &n
		if err := s.Cache.save(teamName(slug), 0o644, old); err != nil {
			return err
		}
		return &Fault{Class: Suspicious, Op: fmt.Sprintf("list team %q", slug), Err: fmt.Errorf("it shrank from %d members to %d", len(old.Members), n)}
	}
	return s.Cache.save(teamName(slug), 0o644, now)
}

// storePeople writes the record of everybody seen, and takes the teams from
// everybody who wasn't. Records that are newer than the refresh stay.
func (s *Service) storePeople(seen map[int64]*Person, start time.Time) error {
	byLogin := map[string]*Person{}
	for _, p := range seen {
		for _, slug := range s.Config.AllTeams() {
			if p.Teams[slug] == "" {
				p.Teams[slug] = None
			}
		}
		byLogin[strings.ToLower(p.Login)] = p
	}
	names, err := s.Cache.list("people")
	if err != nil {
		return err
	}
	for _, name := range names {
		if byLogin[name] == nil {
			byLogin[name] = s.departed(name, seen)
		}
	}
	for name, p := range byLogin {
		if err := s.storePerson(name, *p, start); err != nil {
			return err
		}
	}
	return nil
}

// departed is what a login means that no team lists: the person we knew by it
// under a new login, or nobody.
func (s *Service) departed(login string, seen map[int64]*Person) *Person {
	r, _ := s.Cache.record(login)
	if p := seen[r.Pinned]; p != nil && r.Pinned != 0 {
		return p
	}
	gone := Person{Login: login, ID: r.ID, Teams: map[string]State{}}
	for _, slug := range s.Config.AllTeams() {
		gone.Teams[slug] = None
	}
	return &gone
}

func (s *Service) storePerson(name string, p Person, start time.Time) error {
	old, ok := s.Cache.record(name)
	if ok && (old.At.After(start) || reflect.DeepEqual(old.Person, p)) {
		return nil
	}
	_, err := s.Cache.remember(name, p, start)
	return err
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
