// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"errors"
	"fmt"
	"slices"
)

const rulePin = "root's pin"

// owner finds out whose an account is that has nobody named for it but, perhaps,
// by its own name. Nothing makes a login of GitHub's and an account the same
// person but the administrator, who can say so in three ways.
func (s *Service) owner(g *grant, named bool) (why string, err error) {
	people, err := s.pins(peopleDir, g.name)
	if err != nil {
		return "", err
	}
	group, err := s.inPeopleGroup(g.name)
	people = slices.DeleteFunc(people, func(p pin) bool { return p.word != opens })
	switch {
	case err != nil:
		return "", s.pinFault(err)
	case len(people) > 0:
		g.rule, g.logins = rulePin, people
		return "", nil
	case checkLogin(g.name) != nil:
		return fmt.Sprintf("%q can't be a GitHub login, \"accounts\" does not name it and it is not pinned", g.name), nil
	case named:
		g.rule = `the configuration's "accounts"`
	case group:
		g.rule = "the group " + peopleGroup
	case s.cached(g.name) != 0 && !s.adopted():
		g.rule = ruleOlder
		g.warnings = []string{fmt.Sprintf("%q opens by the cache alone, until root runs: castgate-keys pin -adopt", g.name)}
	default:
		return fmt.Sprintf("%q was made for nobody on GitHub: it is not in the group %s, \"accounts\" does not name it and it is not pinned", g.name, peopleGroup), nil
	}
	return "", s.ids(g, g.name)
}

// ids adds logins with the ids they must have: by the configuration, root's pin,
// what was seen, or an older castgate-keys's cache.
func (s *Service) ids(g *grant, entries ...string) error {
	if len(entries) == 0 {
		return nil
	}
	people, err := s.pins(peopleDir, g.name)
	if err != nil {
		return err
	}
	seen, err := s.pins(seenDir, g.name)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		login, id, _ := splitLogin(entry)
		p := pin{login: login, id: id}
		old := named(seen, login)
		if old.url != s.url() {
			old = pin{} // it may be taken anew, as a login that nobody has seen
		}
		for _, known := range []pin{named(people, login), old, {login: login, id: s.cached(login), url: s.url()}} {
			if p.id == 0 && known.id != 0 {
				p = known
			}
		}
		g.logins = append(g.logins, p)
	}
	return nil
}

// cached is the id that an older castgate-keys, which kept pins in the cache,
// gave to a login.
func (s *Service) cached(login string) int64 {
	r, ok := s.Cache.record(login)
	if !ok || r.Origin != s.Cache.origin {
		return 0
	}
	return r.Pinned
}

// url is the GitHub that the configuration names.
func (s *Service) url() string { return s.Config.GitHub.origin().URL }

func (d *Decision) first(p pin) {
	d.firsts = append(d.firsts, p)
	d.Why = fmt.Sprintf("member, for the first time with the id %d", p.id)
}

// See notes the ids that were let in for the first time, so that another person
// who takes the login later is not. As long as it can't be noted, every login
// is a first one.
func (s *Service) See(d *Decision) error {
	if !d.First() {
		return nil
	}
	var faults []error
	for _, p := range d.firsts {
		faults = append(faults, s.setPin(seenDir, d.Account, p))
	}
	return errors.Join(faults...)
}
