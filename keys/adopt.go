// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"errors"
	"slices"
)

// ruleOlder opens what an older castgate-keys opened until root has run Adopt.
const ruleOlder = "the cache of an older castgate-keys"

// Unadopted reports whether accounts open by it.
func (s *Service) Unadopted() bool {
	all, _ := s.Owners()
	return slices.ContainsFunc(all, func(o Owner) bool { return o.Rule == ruleOlder })
}

// Adopt takes over what an older castgate-keys knew, which opened every account
// whose name was a member's login and kept the ids of members in the cache: it
// pins the accounts that open so until now, each to the id it opens to, and
// returns them for the administrator to look at. Until it has run, the cache
// itself goes on saying so (owner), that nobody is locked out by an upgrade.
func (s *Service) Adopt() (done []Owner, err error) {
	if s.adopted() {
		return nil, nil
	}
	all, err := s.Owners()
	for _, o := range all {
		if o.Root && o.Rule != ruleOlder || o.ID == 0 || o.ID != s.cached(o.Login) || s.left(o) {
			continue
		}
		if perr := s.pinOwner(o); perr != nil {
			return done, errors.Join(err, perr)
		}
		o.Root = true
		done = append(done, o)
	}
	if err == nil {
		err = s.writeState(adoptedName, "what an older castgate-keys knew was taken over\n")
	}
	return done, err
}

// left reports whether an account opened to somebody who is no member any more.
func (s *Service) left(o Owner) bool { return o.Rule == ruleOlder && s.memberID(o) != o.ID }

// pinOwner writes down, as root's word, whose an account is. It opens nothing,
// except that nothing else will open what the cache of an older castgate-keys
// opened until now.
func (s *Service) pinOwner(o Owner) error {
	if o.Rule == ruleOlder {
		return s.setOwner(o.Account, o.Login, o.ID)
	}
	return s.setPin(peopleDir, o.Account, pin{login: o.Login, id: o.ID, url: s.url()})
}
