// SPDX-License-Identifier: AGPL-3.0-or-later

package settings

import (
	"errors"
	"fmt"
	"strings"

	"castgate/wrap/hint"
)

// Configured says whether the file names an organisation. The one that is shipped
// does not: then nobody is asked, and only emergency files open an account.
func (c *Config) Configured() bool { return c.Unconfigured() == "" }

// Unconfigured is what programs say then, "" when an organisation is named.
func (c *Config) Unconfigured() string {
	switch {
	case c.GitHub.Org == "":
		return NotConfigured
	case c.GitHub.placeholder():
		return fmt.Sprintf("not configured: %q is the organisation of the examples, not yours (\"github: org\" in keys.yaml)", c.GitHub.Org)
	}
	return ""
}

// NotConfigured is said of the file that is shipped.
const NotConfigured = `not configured: keys.yaml names no GitHub organisation ("github: org") and no teams`

// example is the organisation of the examples, which older versions shipped.
// Somebody else's on github.com must not decide who gets in because a line was
// left as it was; nor must that line close an emergency file, as an error would.
const example = "acme"

func (g GitHub) placeholder() bool {
	u, err := g.Base()
	return err == nil && strings.EqualFold(u.Hostname(), "api.github.com") && strings.EqualFold(g.Org, example)
}

func (c *Config) validateOrg() error {
	if c.GitHub.Org == "" {
		if len(c.Teams)+len(c.Accounts)+len(c.SealTeams) > 0 {
			return hint.Addf(errors.New("github: org is not set, and teams or accounts are"), "the organisation's name as in its URL, for example %s", example)
		}
		return nil
	}
	if err := CheckLogin(c.GitHub.Org); err != nil {
		return hint.Addf(fmt.Errorf("github: org: %w", err), "the organisation's name as in its URL, for example %s", example)
	}
	return nil
}
