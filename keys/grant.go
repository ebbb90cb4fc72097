// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// grant is whom the configuration lets into an account.
type grant struct {
	account Account
	logins  []string // login or login:id
	need    []string // each of logins must be in one of these teams
	teams   []string // all members of these
}

// grantFor returns why nobody may open the account, or who may.
func (s *Service) grantFor(account string) (grant, string) {
	c := s.Config
	a, named := c.Accounts[strings.ToLower(account)]
	switch {
	case !validAccount(account):
		return grant{}, fmt.Sprintf("%q is not a name of an account", account)
	case named && len(a.Teams)+len(a.Logins) > 0:
		need := slices.Concat(c.Teams, a.Teams)
		return grant{account: a, logins: a.Logins, need: need, teams: a.Teams}, ""
	case !named && systemAccount(s.Passwd, account):
		return grant{}, fmt.Sprintf("%q is a system account that \"accounts\" does not name", account)
	case checkLogin(account) != nil:
		return grant{}, fmt.Sprintf("%q can't be a GitHub login and \"accounts\" does not name it", account)
	case len(c.Teams) == 0:
		return grant{}, fmt.Sprintf("\"accounts\" does not name %q, and \"teams\" is empty", account)
	}
	return grant{account: a, logins: []string{account}, need: c.Teams}, ""
}

// grant asks for everybody whom the configuration lets in. A fault counts only
// when nobody else's key opened the account.
func (s *Service) grant(ctx context.Context, d *Decision, g grant, offered *Key) error {
	var fault error
	for _, entry := range g.logins {
		login, id, _ := splitLogin(entry)
		r, how, err := s.person(ctx, login, g.need)
		if err != nil {
			d.no("%q: %s", login, err)
			fault = err
			continue
		}
		s.add(d, g, found{r, how, g.need, id, login}, offered)
	}
	if len(g.teams) == 0 || offered != nil && d.Allowed() {
		return fault
	}
	if err := s.addTeams(ctx, d, g, offered); err != nil {
		return err
	}
	return fault
}

// found is a person, and the teams of which one must have them as a member for
// this account.
type found struct {
	record
	how    answer
	teams  []string
	pinned int64  // by the configuration; 0 takes the cache's
	asked  string // the login by which they were looked for
}

// add puts a person's keys into the decision, or the reason why not.
func (s *Service) add(d *Decision, g grant, f found, offered *Key) {
	if f.pinned == 0 {
		f.pinned = f.Pinned
	}
	if !d.Allowed() {
		d.Source, d.Age = f.how.source, f.how.age
	}
	team, member := f.in(f.teams, Active)
	switch {
	case !member:
		d.refuse("%s", f.outside(f.teams))
		d.remark(" (%s)", f.how)
	case f.ID != f.pinned:
		d.refuse("%q is now GitHub id %d and was %d: another person may have taken the login", f.Login, f.ID, f.pinned)
		d.remark(" (%s); if the account is meant to be theirs, remove %s from the cache", f.how, recordName(f.asked))
	case f.Suspended:
		d.refuse("%q is suspended", f.Login)
	default:
		d.step("%q (id %d, pinned) is an active member of team %q (%s)", f.Login, f.ID, team, f.how)
		s.addKeys(d, g, f, offered)
	}
}

// outside says in which way somebody is not a member.
func (r *record) outside(teams []string) string {
	if t, ok := r.in(teams, Pending); ok {
		return fmt.Sprintf("%q has not accepted the invitation to team %q", r.Login, t)
	}
	return fmt.Sprintf("%q is not a member of %s", r.Login, strings.Join(teams, ", "))
}

func (s *Service) addKeys(d *Decision, g grant, r found, offered *Key) {
	if len(r.Keys) == 0 {
		d.refuse("%q has no keys on GitHub", r.Login)
	}
	for _, gk := range r.Keys {
		k, err := ParseLine(gk.Line)
		if err != nil || offered != nil && !k.Equal(*offered) {
			continue
		}
		if why := s.Config.Keys.Refuses(k); why != "" {
			d.refuse("key %s of %q: %s", k.Fingerprint(), r.Login, why)
			continue
		}
		d.step("%s key %s of %q passes the filters", k.Type, k.Fingerprint(), r.Login)
		line := s.Config.Keys.line(g.account, k, r.Login)
		d.take(line, hotEntry(k, r.Login, r.ID, line))
		d.Source, d.Age, d.Why = r.how.source, r.how.age, "member"
		if offered != nil {
			d.Login, d.ID = r.Login, r.ID
			return
		}
	}
	if offered != nil && !d.Allowed() && d.Why == "" {
		d.refuse("%q has no such key on GitHub", r.Login)
	}
}
