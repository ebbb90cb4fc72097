// SPDX-License-Identifier: AGPL-3.0-or-later

package settings

import (
	"errors"
	"fmt"

	"castgate/wrap/hint"
)

// Configured says whether the file names an organisation. The one that is shipped
// does not: then nobody is asked, and only emergency files open an account.
func (c *Config) Configured() bool { return c.GitHub.Org != "" }

// NotConfigured is what programs say then.
const NotConfigured = `not configured: keys.yaml names no GitHub organisation ("github: org") and no teams`

// placeholder is the organisation of the examples. Somebody else's on github.com
// must not decide who gets in because a line was left as it was.
const placeholder = "acme"

func (c *Config) validateOrg() error {
	if !c.Configured() {
		if len(c.Teams)+len(c.Accounts)+len(c.SealTeams) > 0 {
			return hint.Addf(errors.New("github: org is not set, and teams or accounts are"), "the organisation's name as in its URL, for example %s", placeholder)
		}
		return nil
	}
	if err := CheckLogin(c.GitHub.Org); err != nil {
		return hint.Addf(fmt.Errorf("github: org: %w", err), "the organisation's name as in its URL, for example %s", placeholder)
	}
	if c.GitHub.Org == placeholder && c.GitHub.URL == Default().GitHub.URL {
		return hint.Add(fmt.Errorf("github: org: %q is the example's name, not yours", placeholder), "your organisation's name as in its URL")
	}
	return nil
}
