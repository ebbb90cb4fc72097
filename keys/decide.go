// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"castgate/keys/hot"
)

// Service answers sshd. It is made for one question and holds no state of its
// own: everything that lasts is in the cache.
type Service struct {
	Config *Config
	Cache  *Cache // nil: nothing is kept
	Finder Finder
	Bulk   []Directory // the first that works
	Passwd string
	Now    func() time.Time

	// ConfigID says under which configuration finished answers were made
	// (hot.ConfigID); "" makes none.
	ConfigID string

	rate *rate
}

// New puts the service together as the configuration says. It makes no call.
// Without a usable cache it still answers; the error then says what to mend.
func New(c *Config) (*Service, error) {
	cache, cacheErr := OpenCache(c.Cache.Dir)
	if cache != nil {
		cache.origin = c.GitHub.origin()
	}
	s := &Service{Config: c, Cache: cache, Passwd: passwdFile, Now: time.Now, rate: &rate{}}
	now := func() time.Time { return s.Now() }
	hc, err := newClient(c.GitHub, cache, s.rate, now)
	if err != nil {
		return nil, err
	}
	rest := newREST(c.GitHub, hc, now)
	rest.believe = func(slug string, list []Person) error { return s.believe(slug, list, s.Now()) }
	s.Finder, s.Bulk = rest, []Directory{newGraph(c.GitHub, hc, now), rest}
	if c.GitHub.enterprise() { // GraphQL doesn't tell who is suspended
		s.Bulk = []Directory{rest}
	}
	return s, cacheErr
}

// Decision is the answer for one account, and how it came about.
type Decision struct {
	Account string
	Offered string   // fingerprint of the key that was offered, if any
	Lines   []string // authorized_keys lines, complete with their newline
	Login   string   // whose key it is, when one key was asked for and found
	ID      int64
	Source  string // emergency, cache, github, stale
	Age     time.Duration
	Why     string
	Steps   []Step

	entries map[string]hot.Entry // by base64, for Prepare
}

// Allowed reports whether the account opens.
func (d *Decision) Allowed() bool { return len(d.Lines) > 0 }

// take adds a line, once for each key.
func (d *Decision) take(line string, e hot.Entry) {
	if d.entries == nil {
		d.entries = map[string]hot.Entry{}
	}
	if _, twice := d.entries[e.Base64]; !twice {
		d.entries[e.Base64] = e
		d.Lines = append(d.Lines, line)
	}
}

// Log writes the one line that every decision gets, with the same fields for
// both outcomes. err is the fault of a decision that could not be made.
func (d *Decision) Log(log *slog.Logger, err error) {
	level, what, why := slog.LevelInfo, "refused", d.Why
	if d.Allowed() {
		what = "allowed"
	}
	if d.Source == "emergency" || d.Source == "stale" {
		level = slog.LevelWarn
	}
	if err != nil {
		level, what, why = slog.LevelError, "failed", err.Error()
	}
	log.Log(context.Background(), level, what, "account", d.Account, "login", d.Login, "id", d.ID,
		"key", d.Offered, "source", d.Source, "age", d.Age.Truncate(time.Second), "why", why)
}

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

// Decide answers for one account; with an offered key for that key alone. The
// error is a fault: nobody could say whether the account opens.
func (s *Service) Decide(ctx context.Context, account string, offered *Key) (*Decision, error) {
	d := &Decision{Account: account}
	if offered != nil {
		d.Offered = offered.Fingerprint()
	}
	if s.emergency(d, offered) {
		return d, nil
	}
	g, why := s.grantFor(account)
	if why != "" {
		d.refuse("%s", why)
		return d, nil
	}
	_, named := s.Config.Accounts[strings.ToLower(account)]
	d.explainGrant(g, named)
	err := s.grant(ctx, d, g, offered)
	if d.Allowed() {
		return d, nil
	}
	if d.Why == "" {
		d.Why = "the key belongs to nobody who may open the account"
	}
	return d, err
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
		s.add(d, g, found{r, how, g.need, id}, offered)
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
	pinned int64 // by the configuration; 0 takes the cache's
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
	case f.ID != f.pinned:
		d.refuse("%q is now GitHub id %d and was %d: another person may have taken the login", f.Login, f.ID, f.pinned)
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
