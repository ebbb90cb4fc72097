// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Owner is whom an account knows by name.
type Owner struct {
	Account string
	Login   string
	ID      int64  // 0 where nobody has told it yet
	Rule    string // what opens the account to them
	Root    bool   // root has pinned the id, or the configuration names it

	need []string // the teams of which one must have them
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
	return fmt.Sprintf("%s opens to %s (%s), by %s", o.Account, o.Login, id, o.Rule)
}

// Owners lists the accounts that people open by name or by a pin, not those that
// a whole team opens. It makes no call. The error is about single accounts.
func (s *Service) Owners() (all []Owner, err error) {
	for _, account := range s.candidates() {
		g, why, gerr := s.grantFor(account)
		if err = errors.Join(err, gerr); gerr != nil || why != "" {
			continue
		}
		people, _ := s.pins(peopleDir, account)
		for _, p := range g.logins {
			byRoot := p.id != 0 && (p.url == "" || named(people, p.login).id == p.id)
			all = append(all, Owner{account, p.login, p.id, g.rule, byRoot, g.need})
		}
	}
	return all, err
}

// Opens says whether the configuration, root's pin or an emergency file lets
// anybody into the account. Whether they are members still is another question.
func (s *Service) Opens(account string) bool {
	if _, ok := s.Config.Emergency[strings.ToLower(account)]; ok {
		return true
	}
	_, why, err := s.grantFor(account)
	return err == nil && why == ""
}

// Namesakes lists the accounts of passwd(5) that are called like a member and
// that nobody opens.
func (s *Service) Namesakes() (all []string) {
	local, _ := localNames(s.Passwd)
	for _, account := range slices.Sorted(maps.Keys(local)) {
		r, ok := s.Cache.record(account)
		if _, in := r.in(s.Config.Teams, Active); !ok || !in || systemAccount(s.Passwd, account) {
			continue
		}
		if _, why, err := s.grantFor(account); err == nil && why != "" {
			all = append(all, account)
		}
	}
	return all
}

// candidates are the accounts that might belong to somebody: those that the
// configuration names, that passwd(5) or the group has, that were used, and that
// are pinned.
func (s *Service) candidates() []string {
	names := slices.Collect(maps.Keys(s.Config.Accounts))
	local, _ := localNames(s.Passwd)
	if group, _ := entry(s.Group, peopleGroup, 4); group != nil {
		names = append(names, strings.Split(group[3], ",")...)
	}
	names = slices.AppendSeq(names, maps.Keys(local))
	if s.Cache != nil {
		used, _ := s.Cache.list("accounts")
		names = append(names, used...)
	}
	for _, dir := range []string{peopleDir, seenDir} {
		names = append(names, s.pinnedNames(dir)...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (s *Service) pinnedNames(dir string) []string {
	c, err := openExisting(s.Config.State + "/" + dir)
	if err != nil {
		return nil
	}
	defer c.root.Close()
	names, _ := c.list(".")
	return names
}

// PinAll writes down, as root's word, whose the accounts are that somebody opens
// by name, as far as that is known, and returns what it wrote. It opens nothing.
// castgate enable does it when it has shown who gets in.
func (s *Service) PinAll() (done []Owner, err error) {
	all, err := s.Owners()
	for _, o := range all {
		if o.ID == 0 {
			o.ID = s.memberID(o)
		}
		if o.Root || o.ID == 0 {
			continue
		}
		if perr := s.setPin(peopleDir, o.Account, pin{login: o.Login, id: o.ID, url: s.url()}); perr != nil {
			return done, errors.Join(err, perr)
		}
		o.Root = true
		done = append(done, o)
	}
	return done, err
}

// expect notes the id of everybody who opens an account by a login and has not
// logged in yet, so that nobody takes the login before they do.
func (s *Service) expect() (err error) {
	all, err := s.Owners()
	for _, o := range all {
		if id := s.memberID(o); o.ID == 0 && id != 0 {
			err = errors.Join(err, s.setPin(seenDir, o.Account, pin{o.Login, id, s.url(), expected}))
		}
	}
	return err
}

// memberID is the id of the login as the cache knows it, 0 when it opens nothing.
func (s *Service) memberID(o Owner) int64 {
	r, ok := s.Cache.record(o.Login)
	_, active := r.in(o.need, Active)
	if !ok || !active || r.Suspended || !strings.EqualFold(r.Login, o.Login) || r.Origin != s.Cache.origin {
		return 0
	}
	return r.ID
}

// Pin makes an account a member's: a login, or LOGIN:ID. It asks GitHub for an id
// that was not given.
func (s *Service) Pin(ctx context.Context, account, entry string) (Owner, error) {
	login, id, err := splitLogin(entry)
	if err != nil {
		return Owner{}, err
	}
	_, named := s.Config.Accounts[strings.ToLower(account)]
	switch {
	case !validAccount(account):
		return Owner{}, fmt.Errorf("%q is not a name of an account", account)
	case !named && systemAccount(s.Passwd, account):
		return Owner{}, advise(fmt.Errorf("%q is a system account", account), "only \"accounts\" in keys.yaml opens one")
	}
	if id == 0 {
		p, err := s.Finder.Find(ctx, login, 0, s.Config.AllTeams())
		if err != nil {
			return Owner{}, err
		}
		if id, login = p.ID, p.Login; id == 0 || p.Suspended {
			return Owner{}, advise(fmt.Errorf("%q is not a member of a team in keys.yaml", entry), "LOGIN:ID pins an id without asking GitHub")
		}
	}
	return Owner{Account: account, Login: login, ID: id, Rule: rulePin, Root: true}, s.setOwner(account, login, id)
}

// setOwner makes an account one person's. Where the configuration names its
// logins, it only says which id one of them must have.
func (s *Service) setOwner(account, login string, id int64) error {
	p := pin{login: login, id: id, url: s.url()}
	if len(s.Config.Accounts[strings.ToLower(account)].Logins) > 0 {
		return s.setPin(peopleDir, account, p)
	}
	p.word = opens
	return s.writeState(peopleDir+"/"+account, p.line())
}

// Unpin forgets whose an account is.
func (s *Service) Unpin(account string) error {
	if !validAccount(account) {
		return fmt.Errorf("%q is not a name of an account", account)
	}
	return errors.Join(s.writeState(peopleDir+"/"+account, ""), s.writeState(seenDir+"/"+account, ""))
}
