// SPDX-License-Identifier: AGPL-3.0-or-later

package owners

import (
	"fmt"
	"slices"

	"castgate/wrap/hint"
)

// Unadopted reports whether accounts open by it.
func (r *Registry) Unadopted() bool {
	all, _ := r.List()
	return slices.ContainsFunc(all, func(o Owner) bool { return o.Rule == ruleOlder })
}

// Adopt takes over what an older castgate-keys knew, which opened every account
// whose name was a member's login and kept the ids of members in the cache: it
// pins the accounts that open so until now, each to the id it opens to, and
// returns them for the administrator to look at. Until it has run, the cache
// itself goes on saying so (owner), that nobody is locked out by an upgrade.
func (r *Registry) Adopt() (done []Owner, err error) {
	if r.pins.adopted() {
		return nil, nil
	}
	if err := r.nothingKnown(); err != nil {
		return nil, err
	}
	done, err = r.pinEach(func(o *Owner) bool { return o.ID == r.cached(o.Login) })
	if err == nil {
		err = r.pins.write(adoptedName, "what an older castgate-keys knew was taken over\n")
	}
	return done, err
}

// nothingKnown is the error of a cache that says nothing: what it knew once may
// come back, so that it is not the end of it.
func (r *Registry) nothingKnown() error {
	if r.store.Dir == nil {
		return r.store.Why
	}
	if logins, err := r.store.Logins(); err != nil || len(logins) > 0 {
		return err
	}
	return hint.Addf(fmt.Errorf("no account is taken over: the cache %q is empty", r.conf.Cache.Dir),
		"an account that opened by its name alone opens in the group %s, or pinned by castgate-keys pin ACCOUNT LOGIN", peopleGroup)
}
