// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// grant is whom the configuration lets in, or root's pin, into an account.
type grant struct {
	name    string // of the account
	rule    string // what says so
	account Account
	logins  []pin    // these, with the id that each must have, 0 where none is known
	need    []string // each of logins must be in one of these teams
	teams   []string // all members of these

	warnings []string
}

// grantFor returns who may open the account, or why nobody may. The error means
// that nobody can say whose it is.
func (s *Service) grantFor(account string) (g grant, why string, err error) {
	c := s.Config
	a, named := c.Accounts[strings.ToLower(account)]
	g = grant{name: account, account: a}
	switch {
	case !validAccount(account):
		return g, fmt.Sprintf("%q is not a name of an account", account), nil
	case named && len(a.Teams)+len(a.Logins) > 0:
		g.rule, g.need, g.teams = `the configuration's "accounts"`, slices.Concat(c.Teams, a.Teams), a.Teams
		err = s.ids(&g, a.Logins...)
		return g, "", err
	case !named && systemAccount(s.Passwd, account):
		return g, fmt.Sprintf("%q is a system account that \"accounts\" does not name", account), nil
	case len(c.Teams) == 0:
		return g, fmt.Sprintf("\"accounts\" does not name %q, and \"teams\" is empty", account), nil
	}
	g.need = c.Teams
	why, err = s.owner(&g, named)
	return g, why, err
}

// grant asks for everybody whom the configuration lets in. A fault counts only
// when nobody else's key opened the account.
func (s *Service) grant(ctx context.Context, d *Decision, g grant, offered *Key) error {
	var fault error
	for _, p := range g.logins {
		login := s.present(p, g.need)
		known := p.id
		if p.url != "" && p.url != s.url() {
			known = 0 // somebody else has the number there
		}
		r, how, err := s.person(ctx, login, known, g.need)
		if err != nil {
			d.no("%q: %s", login, err)
			fault = err
			continue
		}
		if s.Cache == nil {
			r.Origin = s.Config.GitHub.origin()
		}
		s.add(d, g, found{r, how, g.need, &p}, offered)
	}
	if len(g.teams) == 0 || offered != nil && d.Allowed() {
		return fault
	}
	if err := s.addTeams(ctx, d, g, offered); err != nil {
		return err
	}
	return fault
}

// present is the login that a pinned person has now, as far as the teams' lists
// know: that of the pin may be somebody else's.
func (s *Service) present(p pin, teams []string) string {
	if r, ok := s.Cache.record(p.login); p.id == 0 || ok && r.ID == p.id {
		return p.login
	}
	for _, slug := range teams {
		t, _ := s.Cache.team(slug)
		for _, m := range t.Members {
			if m.ID == p.id {
				return m.Login
			}
		}
	}
	return p.login
}

// found is a person, and the teams of which one must have them as a member for
// this account.
type found struct {
	record
	how   answer
	teams []string
	named *pin // how the account names them; nil for one of a team's members
}

// add puts a person's keys into the decision, or the reason why not.
func (s *Service) add(d *Decision, g grant, f found, offered *Key) {
	if !d.Allowed() {
		d.Source, d.Age = f.how.source, f.how.age
	}
	team, member := f.in(f.teams, Active)
	switch {
	case !member:
		d.refuse("%s", f.outside(f.teams))
		d.remark(" (%s)", f.how)
	case f.Suspended:
		d.refuse("%q is suspended", f.Login)
	case f.another() != "":
		d.refuse("%s", f.another())
		d.remark(" (%s); if the account is meant to be theirs: castgate-keys pin %s %s", f.how, g.name, f.Login)
	default:
		d.step("%q (id %d%s) is an active member of team %q (%s)", f.Login, f.ID, f.pinned(), team, f.how)
		s.addKeys(d, g, f, offered)
	}
}

// another says why a member is not the person whom the account names.
func (f *found) another() string {
	switch {
	case f.ID <= 0:
		return fmt.Sprintf("GitHub has not told the id of %q", f.Login)
	case f.named == nil:
		return ""
	case f.named.url != "" && f.named.url != f.Origin.URL:
		return fmt.Sprintf("the account belongs to id %d of %s", f.named.id, f.named.url)
	case f.named.id == f.ID:
		return ""
	case f.named.id != 0:
		return fmt.Sprintf("%q is now GitHub id %d and was %d: another person may have taken the login", f.Login, f.ID, f.named.id)
	case !strings.EqualFold(f.named.login, f.Login):
		return fmt.Sprintf("who was %q is %q now: the login may be taken by another person", f.named.login, f.Login)
	}
	return ""
}

// first reports whether nobody has logged in with this id where it is named.
func (f *found) first() bool { return f.named != nil && (f.named.id == 0 || f.named.word == expected) }

func (f *found) pinned() string {
	switch {
	case f.first():
		return ", for the first time"
	case f.named != nil:
		return ", pinned"
	}
	return ""
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
		if r.first() {
			d.first(pin{login: r.named.login, id: r.ID, url: r.Origin.URL})
		}
		if offered != nil {
			d.Login, d.ID = r.Login, r.ID
			return
		}
	}
	if offered != nil && !d.Allowed() && d.Why == "" {
		d.refuse("%q has no such key on GitHub", r.Login)
	}
}
