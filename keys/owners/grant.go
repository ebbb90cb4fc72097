// SPDX-License-Identifier: AGPL-3.0-or-later

// Package owners says whose an account on the host is: whom the configuration
// names, whom root has pinned, who was seen, and which accounts open to the
// member of their name. It keeps the pins (pins.go), lists them for the
// administrator, and takes over what an older castgate-keys knew. Whether
// somebody is a member still, and has which keys, is for package keys.
package owners

import (
	"fmt"
	"slices"
	"strings"

	"castgate/keys/known"
	"castgate/keys/local"
	"castgate/keys/settings"
)

// Grant is whom the configuration lets in, or root's pin, into an account.
type Grant struct {
	Name    string // of the account
	Rule    string // what says so
	Account settings.Account
	Logins  []Pin    // these, with the id that each must have, 0 where none is known
	Need    []string // each of Logins must be in one of these teams
	Teams   []string // all members of these

	Warnings []string
}

// Registry says whose the accounts are.
type Registry struct {
	Host  local.Files
	conf  *settings.Config
	store *known.Store
	pins  pins
}

// New returns the registry that the configuration describes.
func New(c *settings.Config, s *known.Store) *Registry {
	return &Registry{Host: local.Host(), conf: c, store: s, pins: pins{c.State, s}}
}

// Grant returns who may open the account, or why nobody may. The error means
// that nobody can say whose it is.
func (r *Registry) Grant(account string) (g Grant, why string, err error) {
	c := r.conf
	a, named := c.Accounts[strings.ToLower(account)]
	g = Grant{Name: account, Account: a}
	switch {
	case !settings.ValidAccount(account):
		return g, fmt.Sprintf("%q is not a name of an account", account), nil
	case named && len(a.Teams)+len(a.Logins) > 0:
		g.Rule, g.Need, g.Teams = `the configuration's "accounts"`, slices.Concat(c.Teams, a.Teams), a.Teams
		err = r.ids(&g, a.Logins...)
		return g, "", err
	case !named && r.Host.System(account):
		return g, fmt.Sprintf("%q is a system account that \"accounts\" does not name", account), nil
	case len(c.Teams) == 0:
		return g, fmt.Sprintf("\"accounts\" does not name %q, and \"teams\" is empty", account), nil
	}
	g.Need = c.Teams
	why, err = r.owner(&g, named)
	return g, why, err
}

// peopleGroup has the accounts that their namesakes on GitHub open.
const peopleGroup = "castgate-people"

const (
	rulePin = "root's pin"
	// ruleOlder opens what an older castgate-keys opened until root has run Adopt.
	ruleOlder = "the cache of an older castgate-keys"
)

// owner finds out whose an account is that has nobody named for it but, perhaps,
// by its own name. Nothing makes a login of GitHub's and an account the same
// person but the administrator, who can say so in three ways.
func (r *Registry) owner(g *Grant, named bool) (why string, err error) {
	people, err := r.pins.read(peopleDir, g.Name)
	if err != nil {
		return "", err
	}
	group, err := r.Host.InGroup(peopleGroup, g.Name)
	people = slices.DeleteFunc(people, func(p Pin) bool { return p.word != opens })
	switch {
	case err != nil:
		return "", r.pins.fault(err)
	case len(people) > 0:
		g.Rule, g.Logins = rulePin, people
		return "", nil
	case settings.CheckLogin(g.Name) != nil:
		return fmt.Sprintf("%q can't be a GitHub login, \"accounts\" does not name it and it is not pinned", g.Name), nil
	case named:
		g.Rule = `the configuration's "accounts"`
	case group:
		g.Rule = "the group " + peopleGroup
	case r.cached(g.Name) != 0 && !r.pins.adopted():
		g.Rule = ruleOlder
		g.Warnings = []string{fmt.Sprintf("%q opens by the cache alone, until root runs: castgate-keys pin -adopt", g.Name)}
	default:
		return fmt.Sprintf("%q was made for nobody on GitHub: it is not in the group %s, \"accounts\" does not name it and it is not pinned", g.Name, peopleGroup), nil
	}
	return "", r.ids(g, g.Name)
}

// ids adds logins with the ids they must have: by the configuration, root's pin,
// what was seen, or an older castgate-keys's cache.
func (r *Registry) ids(g *Grant, entries ...string) error {
	if len(entries) == 0 {
		return nil
	}
	people, err := r.pins.read(peopleDir, g.Name)
	if err != nil {
		return err
	}
	seen, err := r.pins.read(seenDir, g.Name)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		login, id, _ := settings.SplitLogin(entry)
		p := Pin{Login: login, ID: id}
		old := named(seen, login)
		if old.URL != r.url() {
			old = Pin{} // it may be taken anew, as a login that nobody has seen
		}
		for _, said := range []Pin{named(people, login), old, {Login: login, ID: r.cached(login), URL: r.url()}} {
			if p.ID == 0 && said.ID != 0 {
				p = said
			}
		}
		g.Logins = append(g.Logins, p)
	}
	return nil
}

// cached is the id that an older castgate-keys, which kept pins in the cache,
// gave to a login.
func (r *Registry) cached(login string) int64 {
	rec, ok := r.store.Record(login)
	if !ok || rec.Origin != r.store.Origin {
		return 0
	}
	return rec.Pinned
}

// url is the GitHub that the configuration names.
func (r *Registry) url() string { return r.store.Origin.URL }

// Present is the login that a pinned person has now, as far as the teams' lists
// know: that of the pin may be somebody else's.
func (r *Registry) Present(p Pin, teams []string) string {
	if rec, ok := r.store.Record(p.Login); p.ID == 0 || ok && rec.ID == p.ID {
		return p.Login
	}
	for _, slug := range teams {
		t, _ := r.store.Team(slug)
		for _, m := range t.Members {
			if m.ID == p.ID {
				return m.Login
			}
		}
	}
	return p.Login
}

// See notes an id that was let in for the first time, so that another person
// who takes the login later is not. As long as it can't be noted, every login is
// a first one.
func (r *Registry) See(account string, p Pin) error { return r.pins.set(seenDir, account, p) }

// Lock lets nobody change whose an account is.
func (r *Registry) Lock(account string) (unlock func(), err error) { return r.pins.lock(account) }
