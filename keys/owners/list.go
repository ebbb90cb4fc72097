// SPDX-License-Identifier: AGPL-3.0-or-later

package owners

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"castgate/keys/known"
	"castgate/keys/local"
	"castgate/keys/prepared"
	"castgate/keys/settings"
	"castgate/wrap/hint"
)

// Owner is whom an account knows by name.
type Owner struct {
	Account string
	Login   string
	ID      int64  // 0 where nobody has told it yet
	Rule    string // what opens the account to them
	Root    bool   // root has pinned the id, or the configuration names it

	powers []string // the groups that let the account do more than others
	need   []string // the teams of which one must have them
}

// String is the line that tells it to an administrator.
func (o Owner) String() string {
	id := fmt.Sprintf("id %d", o.ID)
	switch {
	case o.ID == 0:
		id = "whoever has the login when they first log in"
	case !o.Root:
		id += ", not pinned by root"
	}
	line := fmt.Sprintf("%s opens to %s (%s), by %s", o.Account, o.Login, id, o.Rule)
	switch len(o.powers) {
	case 0:
		return line
	case 1:
		return line + "; it is in the group " + o.powers[0]
	}
	return line + "; it is in the groups " + strings.Join(o.powers, ", ")
}

// List lists the accounts that people open by name or by a pin, not those that
// a whole team opens. It makes no call. The error is about single accounts.
func (r *Registry) List() (all []Owner, err error) {
	for _, account := range r.Candidates() {
		g, why, gerr := r.Grant(account)
		if err = errors.Join(err, gerr); gerr != nil || why != "" {
			continue
		}
		people, _ := r.pins.read(peopleDir, account)
		powers := r.Host.Powers(account)
		for _, p := range g.Logins {
			byRoot := p.ID != 0 && (p.URL == "" || named(people, p.Login).ID == p.ID)
			all = append(all, Owner{account, p.Login, p.ID, g.Rule, byRoot, powers, g.Need})
		}
	}
	return all, err
}

// Opens says whether the configuration, root's pin or an emergency file lets
// anybody into the account. Whether they are members still is another question.
func (r *Registry) Opens(account string) bool {
	if _, ok := r.conf.Emergency[strings.ToLower(account)]; ok {
		return true
	}
	_, why, err := r.Grant(account)
	return err == nil && why == ""
}

// Namesakes lists the accounts of passwd(5) that are called like a member and
// that nobody opens, and those of a directory that somebody opened once.
func (r *Registry) Namesakes() (all []string) {
	here, _ := r.Host.Accounts()
	names := slices.AppendSeq(r.directoryNames(), maps.Keys(here))
	slices.Sort(names)
	for _, account := range slices.Compact(names) {
		rec, ok := r.store.Record(account)
		if _, in := rec.In(r.conf.Teams, known.Active); !ok || !in || r.Host.System(account) {
			continue
		}
		if _, why, err := r.Grant(account); err == nil && why != "" {
			all = append(all, account)
		}
	}
	return all
}

// Candidates are the accounts that might belong to somebody: those that the
// configuration names, that passwd(5) or the group has, that were used, and that
// are pinned.
func (r *Registry) Candidates() []string {
	names := slices.Collect(maps.Keys(r.conf.Accounts))
	here, _ := r.Host.Accounts()
	names = append(names, r.Host.Members(peopleGroup)...)
	names = slices.AppendSeq(names, maps.Keys(here))
	used, _ := r.store.Dir.List(prepared.Dir)
	names = slices.Concat(names, used, r.pins.accounts())
	if !r.pins.adopted() {
		names = append(names, r.directoryNames()...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// directoryNames are the logins that an older castgate-keys knew and that may be
// accounts which passwd(5) does not have. The directory service is not asked; a
// name that it does not have either only stays the login's.
func (r *Registry) directoryNames() (names []string) {
	here, _ := r.Host.Accounts()
	logins, _ := r.store.Logins()
	anywhere := r.Host.HasDirectory()
	for _, name := range logins {
		if r.cached(name) != 0 && !here[name] && (anywhere || local.HasRecord(r.conf.Userdb.Dir, name)) {
			names = append(names, name)
		}
	}
	return names
}

// PinAll writes down, as root's word, whose the accounts are that somebody opens
// by name, as far as that is known, and returns what it wrote. It opens nothing anew.
// castgate enable does it when it has shown who gets in.
func (r *Registry) PinAll() ([]Owner, error) {
	return r.pinEach(func(o *Owner) bool {
		if o.ID == 0 {
			o.ID = r.memberID(*o)
		}
		return true
	})
}

// pinEach writes down whose the accounts are that are not pinned yet and whose
// owner has not left, where want says so.
func (r *Registry) pinEach(want func(*Owner) bool) (done []Owner, err error) {
	all, err := r.List()
	for _, o := range all {
		if o.Root && o.Rule != ruleOlder || !want(&o) || o.ID == 0 || r.left(o) {
			continue
		}
		if perr := r.pinOwner(o); perr != nil {
			return done, errors.Join(err, perr)
		}
		o.Root = true
		done = append(done, o)
	}
	return done, err
}

// Expect notes the id of everybody who opens an account by a login and has not
// logged in yet, so that nobody takes the login before they do.
func (r *Registry) Expect() (err error) {
	all, err := r.List()
	for _, o := range all {
		if id := r.memberID(o); o.ID == 0 && id != 0 {
			err = errors.Join(err, r.pins.set(seenDir, o.Account, Pin{o.Login, id, r.url(), expected}))
		}
	}
	return err
}

// left reports whether an account opened to somebody who is no member any more.
func (r *Registry) left(o Owner) bool { return o.Rule == ruleOlder && r.memberID(o) != o.ID }

// pinOwner writes down, as root's word, whose an account is. It opens nothing,
// except that nothing else will open what the cache of an older castgate-keys
// opened until now.
func (r *Registry) pinOwner(o Owner) error {
	if o.Rule == ruleOlder {
		_, err := r.Pin(o.Account, o.Login, o.ID)
		return err
	}
	return r.pins.set(peopleDir, o.Account, Pin{Login: o.Login, ID: o.ID, URL: r.url()})
}

// memberID is the id of the login as far as is known, 0 when it opens nothing.
func (r *Registry) memberID(o Owner) int64 {
	rec, ok := r.store.Record(o.Login)
	_, active := rec.In(o.need, known.Active)
	if !ok || !active || rec.Suspended || !strings.EqualFold(rec.Login, o.Login) || rec.Origin != r.store.Origin {
		return 0
	}
	return rec.ID
}

// Pinnable refuses an account that can't be a person's.
func (r *Registry) Pinnable(account string) error {
	_, named := r.conf.Accounts[strings.ToLower(account)]
	switch {
	case !settings.ValidAccount(account):
		return fmt.Errorf("%q is not a name of an account", account)
	case !named && r.Host.System(account):
		return hint.Add(fmt.Errorf("%q is a system account", account), "only \"accounts\" in keys.yaml opens one")
	}
	return nil
}

// Pin makes an account one person's. Where the configuration names its logins,
// it only says which id one of them must have.
func (r *Registry) Pin(account, login string, id int64) (Owner, error) {
	o := Owner{Account: account, Login: login, ID: id, Rule: rulePin, Root: true}
	p := Pin{Login: login, ID: id, URL: r.url()}
	if len(r.conf.Accounts[strings.ToLower(account)].Logins) > 0 {
		return o, r.pins.set(peopleDir, account, p)
	}
	p.word = opens
	return o, r.pins.replace(account, p.line(), peopleDir)
}

// Claim pins an account that is made for a person, unless it was another's.
func (r *Registry) Claim(account, login string, id int64) (theirs bool, err error) {
	people, err := r.pins.read(peopleDir, account)
	if p := named(people, login); err == nil && p.word == opens {
		return p.ID == id && p.URL == r.url(), nil
	}
	g := Grant{Name: account}
	if err = errors.Join(err, r.ids(&g, login)); err != nil {
		return false, err
	}
	if known := g.Logins[0].ID; known != 0 && known != id {
		return false, nil
	}
	_, err = r.Pin(account, login, id)
	return true, err
}

// Unpin forgets whose an account is.
func (r *Registry) Unpin(account string) error {
	if !settings.ValidAccount(account) {
		return fmt.Errorf("%q is not a name of an account", account)
	}
	return r.pins.replace(account, "", peopleDir, seenDir)
}
