// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"context"
	"time"
)

// Service answers sshd. It is made for one question and holds no state of its
// own: everything that lasts is in the cache.
type Service struct {
	Config *Config
	Cache  *Cache // nil: nothing is kept
	Finder Finder
	Bulk   []Directory // the first that works
	Passwd string
	Group  string
	Now    func() time.Time

	NSSwitch string // nsswitch.conf(5)

	// ConfigID says under which configuration finished answers were made
	// (hot.ConfigID); "" makes none.
	ConfigID string

	rate     *rate
	cacheErr error // why Cache is nil
}

// New puts the service together as the configuration says. It makes no call.
// Without a usable cache it still answers; the error then says what to mend.
// And when GitHub can't even be called, for want of a file that the
// configuration names, emergency keys and what is stored still count.
func New(c *Config) (*Service, error) {
	cache, cacheErr := OpenCache(c.Cache.Dir)
	if cache != nil {
		cache.origin = c.GitHub.origin()
		cache.overruled = overruledIn(c.GitHub.App.TokenDir)
	}
	s := &Service{Config: c, Cache: cache, Passwd: passwdFile, Group: groupFile, NSSwitch: nsswitchFile, Now: time.Now, rate: &rate{}, cacheErr: cacheErr}
	now := func() time.Time { return s.Now() }
	hc, err := newClient(c.GitHub, cache, s.rate, now)
	if err != nil {
		s.Finder, s.Bulk = nowhere{err}, []Directory{nowhere{err}}
		return s, cacheErr
	}
	rest := newREST(c.GitHub, hc, now)
	rest.believe = func(slug string, list []Person) []teammate { return s.believe(slug, list, s.Now()) }
	s.Finder, s.Bulk = rest, []Directory{newGraph(c.GitHub, hc, now), rest}
	if c.GitHub.enterprise() { // GraphQL doesn't tell who is suspended
		s.Bulk = []Directory{rest}
	}
	return s, cacheErr
}

// nowhere is a GitHub that can't be called.
type nowhere struct{ err error }

func (n nowhere) fault() error { return &Fault{Class: Broken, Op: "call GitHub", Err: n.err} }

// Find implements Finder.
func (n nowhere) Find(context.Context, string, int64, []string) (Person, error) {
	return Person{}, n.fault()
}

// Team implements Directory.
func (n nowhere) Team(context.Context, string, func(Person) error) error { return n.fault() }

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
	if !s.Config.Configured() {
		d.refuse(NotConfigured)
		return d, nil
	}
	g, why, err := s.grantFor(account)
	switch {
	case err != nil:
		d.no("%s", err)
		return d, err
	case why != "":
		d.refuse("%s", why)
		return d, nil
	}
	d.explainGrant(g)
	d.Warnings = append(d.Warnings, g.warnings...)
	err = s.grant(ctx, d, g, offered)
	if d.Allowed() {
		return d, nil
	}
	if d.Why == "" {
		d.Why = "the key belongs to nobody who may open the account"
	}
	return d, err
}
