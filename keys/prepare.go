// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"castgate/keys/known"
	"castgate/keys/owners"
	"castgate/keys/prepared"
)

// Prepare writes down the finished answer for an account, so that the next
// question is answered from one small file (package prepared). It makes no call:
// where the cache is not fresh there is nothing to write down. The accounts of
// teams are left to Refresh, because they need everybody's record.
func (s *Service) Prepare(account string) error {
	g, why, err := s.Owners.Grant(account)
	if err != nil || why != "" || len(g.Teams) > 0 || s.Known.Dir == nil {
		return err
	}
	return s.prepare(account)
}

// prepare looks again whose the account is, under the lock: whoever changes that
// removes the answer afterwards.
func (s *Service) prepare(account string) error {
	unlock, err := s.Owners.Lock(account)
	if err != nil {
		return err
	}
	defer unlock()
	g, why, err := s.Owners.Grant(account)
	if err != nil || why != "" {
		return errors.Join(err, s.Known.Dir.Remove(prepared.Name(account)))
	}
	return s.finish(account, g)
}

func (s *Service) finish(account string, g owners.Grant) error {
	_, emergency := s.Config.Emergency[strings.ToLower(account)]
	if emergency || s.ConfigID == "" {
		return nil // those files are looked at every time
	}
	d := s.decision(account, g)
	people, whole := s.stored(g, s.Known.Recent)
	var oldest time.Duration
	for _, f := range people {
		oldest = max(oldest, f.how.Age)
		d.add(f)
	}
	if !whole || !d.Allowed() || d.First() {
		return s.Known.Dir.Remove(prepared.Name(account))
	}
	a := d.answer()
	a.Config, a.From = s.ConfigID, s.Known.Now().Add(-oldest)
	a.Until = a.From.Add(s.Config.Cache.TTL)
	return s.Known.Dir.WriteNew(prepared.Name(account), 0o644, a.Format())
}

// decision is one that nothing was found for yet.
func (s *Service) decision(account string, g owners.Grant) *Decision {
	return &Decision{Account: account, policy: s.Config.Keys, grant: g}
}

// stored are the people of the grant as far as the cache alone knows them. whole
// is false when too little is known to say that nobody else is let in.
func (s *Service) stored(g owners.Grant, find func(login string, need []string) (known.Record, known.From, bool)) (people []found, whole bool) {
	whole = true
	add := func(login string, teams []string, named *owners.Pin) {
		r, how, ok := find(login, teams)
		if ok {
			people = append(people, found{r, how, teams, named})
		}
		whole = whole && ok
	}
	for _, p := range g.Logins {
		add(s.Owners.Present(p, g.Need), g.Need, &p)
	}
	for _, slug := range g.Teams {
		t, ok := s.Known.Team(slug)
		whole = whole && ok
		for _, m := range t.Members {
			add(m.Login, g.Teams, nil)
		}
	}
	return people, whole
}

// prepareAll does so for every account that the configuration names, that
// somebody has used on this host, or that passwd(5) has and GitHub knows.
func (s *Service) prepareAll() error {
	names, err := s.Known.Dir.List(prepared.Dir)
	if err != nil {
		return err
	}
	here, err := s.Owners.Host.Accounts()
	if err != nil {
		return err
	}
	for name := range here {
		if r, ok := s.Known.Record(name); ok && r.Member() {
			names = append(names, name)
		}
	}
	names = slices.AppendSeq(names, maps.Keys(s.Config.Accounts))
	slices.Sort(names)
	var faults []error
	for _, name := range slices.Compact(names) {
		faults = append(faults, s.prepare(name))
	}
	return errors.Join(faults...)
}
