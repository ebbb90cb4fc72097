// SPDX-License-Identifier: AGPL-3.0-or-later

package settings

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"castgate/keys/pubkey"
	"castgate/wrap/hint"
)

// Validate refuses what could not work, or would work otherwise than meant.
// Every name that later becomes part of a URL or of a file's name is checked
// here or where it comes in, because go-github escapes neither (ListKeys of
// "../orgs/x" asks another endpoint, and that of "" lists the keys of the token's
// owner).
func (c *Config) Validate() error {
	c.lowerTeams()
	return first(
		c.GitHub.validate,
		c.validateTeams,
		c.validateAccounts,
		c.Cache.validate,
		c.validateState,
		c.Keys.validate,
		c.validateEmergency,
		c.Userdb.validate,
	)
}

// lowerTeams writes slugs as GitHub does. The keys of maps are in lower case
// already: the configuration's reader makes them so.
func (c *Config) lowerTeams() {
	lower(c.Teams)
	lower(c.SealTeams)
	for _, a := range c.Accounts {
		lower(a.Teams)
	}
}

// lower writes only what changes: a configuration that is right already may be
// validated while others read it.
func lower(slugs []string) {
	for i, slug := range slugs {
		if l := strings.ToLower(slug); l != slug {
			slugs[i] = l
		}
	}
}

// first returns the first error of several checks: one message at a time.
func first(checks ...func() error) error {
	for _, check := range checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (c *Config) validateTeams() error {
	for _, slug := range c.Teams {
		if err := CheckSlug(slug); err != nil {
			return fmt.Errorf("key %q: %w", "teams", err)
		}
	}
	for _, slug := range c.SealTeams {
		if err := CheckSlug(slug); err != nil {
			return fmt.Errorf("key %q: %w", "seal_teams", err)
		}
	}
	return nil
}

func (c *Config) validateAccounts() error {
	for _, name := range slices.Sorted(maps.Keys(c.Accounts)) {
		a := c.Accounts[name]
		if err := a.validate(name); err != nil {
			return fmt.Errorf("account %q: %w", name, err)
		}
		if len(c.Teams)+len(a.Teams) == 0 {
			return hint.Add(fmt.Errorf("account %q: no team decides who its members are", name), "a login opens an account only as a member of one of its teams or of \"teams\"")
		}
	}
	if len(c.Teams) == 0 && len(c.Accounts) == 0 && len(c.Emergency) == 0 {
		return hint.Add(errors.New(`neither "teams" nor "accounts" is set`), "nobody could log in: name a team")
	}
	return nil
}

func (a Account) validate(name string) error {
	if !ValidAccount(name) {
		return errors.New("not a name of an account")
	}
	for _, slug := range a.Teams {
		if err := CheckSlug(slug); err != nil {
			return err
		}
	}
	for _, l := range a.Logins {
		if _, _, err := SplitLogin(l); err != nil {
			return err
		}
	}
	for _, from := range a.From {
		if err := checkFrom(from); err != nil {
			return err
		}
	}
	if a.Options != nil {
		return pubkey.CheckOptions(*a.Options)
	}
	return nil
}

// checkFrom takes what sshd(8) calls an address or a CIDR mask. Host names are
// refused: they would make every login wait for the DNS.
func checkFrom(s string) error {
	s = strings.TrimPrefix(s, "!")
	if _, err := netip.ParseAddr(s); err == nil {
		return nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return fmt.Errorf("from: %q is neither an address nor a network", s)
	}
	if p != p.Masked() {
		return hint.Addf(fmt.Errorf("from: %q has bits beyond its mask", s), "sshd would refuse it: write %s", p.Masked())
	}
	return nil
}

func (c Cache) validate() error {
	switch {
	case !filepath.IsAbs(c.Dir):
		return fmt.Errorf("cache: dir %q is not an absolute path", c.Dir)
	case c.TTL <= 0:
		return fmt.Errorf("cache: ttl %v is not a positive time", c.TTL)
	case c.MaxStale < c.TTL:
		return hint.Add(fmt.Errorf("cache: max_stale %v is shorter than ttl %v", c.MaxStale, c.TTL), "max_stale is counted from the last answer, as ttl is")
	}
	return nil
}

func (c *Config) validateState() error {
	if !filepath.IsAbs(c.State) {
		return fmt.Errorf("state %q is not an absolute path", c.State)
	}
	return nil
}

func (c *Config) validateEmergency() error {
	for _, account := range slices.Sorted(maps.Keys(c.Emergency)) {
		switch file := c.Emergency[account]; {
		case !ValidAccount(account):
			return fmt.Errorf("emergency: %q is not a name of an account", account)
		case !filepath.IsAbs(file):
			return fmt.Errorf("emergency: %q is not an absolute path", file)
		}
	}
	return nil
}
