// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"encoding/base64"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"castgate/keys/hot"
)

func hotName(account string) string { return "accounts/" + account }

// Prepare writes down the finished answer for an account, so that the next
// question is answered from one small file (package hot). It makes no call:
// where the cache is not fresh there is nothing to write down. The accounts of
// teams are left to Refresh, because they need everybody's record.
func (s *Service) Prepare(account string) error {
	g, why, err := s.grantFor(account)
	if err != nil || why != "" || len(g.teams) > 0 || s.Cache == nil {
		return err
	}
	return s.prepare(account, g)
}

func (s *Service) prepare(account string, g grant) error {
	_, emergency := s.Config.Emergency[strings.ToLower(account)]
	if emergency || s.ConfigID == "" {
		return nil // those files are looked at every time
	}
	d := &Decision{Account: account}
	people, whole := s.stored(g, s.recent)
	var oldest time.Duration
	for _, f := range people {
		oldest = max(oldest, f.how.age)
		s.add(d, g, f, nil)
	}
	if d.Age = oldest; !whole || !d.Allowed() || d.First() {
		return s.Cache.remove(hotName(account))
	}
	from := s.Now().Add(-d.Age)
	until := from.Add(s.Config.Cache.TTL)
	if hot.Current(s.Cache.dir, account, s.ConfigID, until, s.Now()) {
		return nil
	}
	entries := slices.SortedFunc(maps.Values(d.entries), func(a, b hot.Entry) int { return strings.Compare(a.Base64, b.Base64) })
	return s.Cache.write(hotName(account), 0o644, hot.Format(account, s.ConfigID, from, until, entries))
}

// stored are the people of the grant as far as the cache alone knows them. whole
// is false when too little is known to say that nobody else is let in.
func (s *Service) stored(g grant, find func(login string, need []string) (record, answer, bool)) (people []found, whole bool) {
	whole = true
	add := func(login string, teams []string, named *pin) {
		r, how, ok := find(login, teams)
		if ok {
			people = append(people, found{r, how, teams, named})
		}
		whole = whole && ok
	}
	for _, p := range g.logins {
		add(s.present(p, g.need), g.need, &p)
	}
	for _, slug := range g.teams {
		t, ok := s.Cache.team(slug)
		whole = whole && ok
		for _, m := range t.Members {
			add(m.Login, g.teams, nil)
		}
	}
	return people, whole
}

// prepareAll does so for every account that the configuration names, that
// somebody has used on this host, or that passwd(5) has and GitHub knows.
func (s *Service) prepareAll() error {
	names, err := s.Cache.list("accounts")
	if err != nil {
		return err
	}
	local, err := localNames(s.Passwd)
	if err != nil {
		return err
	}
	for name := range local {
		if r, ok := s.Cache.record(name); ok && r.member() {
			names = append(names, name)
		}
	}
	names = slices.AppendSeq(names, maps.Keys(s.Config.Accounts))
	slices.Sort(names)
	var faults []error
	for _, name := range slices.Compact(names) {
		g, why, err := s.grantFor(name)
		if err != nil || why != "" {
			faults = append(faults, err, s.Cache.remove(hotName(name)))
		} else {
			faults = append(faults, s.prepare(name, g))
		}
	}
	return errors.Join(faults...)
}

func (c *Cache) remove(name string) error {
	if c == nil {
		return nil
	}
	delete(c.unwritten, name)
	if err := c.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func hotEntry(k Key, login string, id int64, line string) hot.Entry {
	return hot.Entry{
		Base64: base64.StdEncoding.EncodeToString(k.Blob), Login: login, ID: id,
		Fingerprint: k.Fingerprint(), Line: strings.TrimSuffix(line, "\n"),
	}
}
