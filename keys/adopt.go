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
		left := o.Rule == ruleOlder && s.memberID(o) != o.ID
		if o.Root || left || o.ID == 0 || o.ID != s.cached(o.Login) {
			continue
		}
		perr := s.setPin(peopleDir, o.Account, pin{login: o.Login, id: o.ID, url: s.url()})
		if o.Rule == ruleOlder { // nothing else will open it
			perr = s.setOwner(o.Account, o.Login, o.ID)
		}
		if perr != nil {
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
