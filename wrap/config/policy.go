// SPDX-License-Identifier: AGPL-3.0-or-later

package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Policy is what holds for one session: the file's own values, and over them
// those of the first rule that matches.
type Policy struct {
	Notice    string
	Record    Content
	OnFailure string // deny | allow
	Leftovers string // keep | list | end
	Limits    Limits
}

// Content says what goes into a recording.
type Content struct {
	Input    string // no | echoed | all
	Commands string // yes | metadata
	Su       bool
}

// Limits bound one session or one user.
type Limits struct {
	Session         Size
	CommandOutput   Size
	Free            Size
	SessionsPerUser int
}

// Rule gives users or members of groups a policy of their own. Keys that it
// doesn't set keep the file's values.
type Rule struct {
	Users  []string
	Groups []string
	Policy            // with what the rule says over the file's values
	over   *yaml.Node // what it says
}

// Size is a number of bytes, written as 512, 64KiB, 256MiB or 1GiB.
type Size int64

func (p *Policy) validate() error {
	for _, k := range []struct {
		key, value string
		known      []string
	}{
		{"record.input", p.Record.Input, []string{"no", "echoed", "all"}},
		{"record.commands", p.Record.Commands, []string{"yes", "metadata"}},
		{"on_failure", p.OnFailure, []string{"deny", "allow"}},
		{"leftovers", p.Leftovers, []string{"keep", "list", "end"}},
	} {
		if !slices.Contains(k.known, k.value) {
			return fmt.Errorf("%s: %q is none of %s", k.key, k.value, strings.Join(k.known, ", "))
		}
	}
	if p.Limits.SessionsPerUser < 1 {
		return fmt.Errorf("limits.sessions_per_user: %d locks everybody out", p.Limits.SessionsPerUser)
	}
	return nil
}

func (r *Rule) read() error {
	if err := into(r.over, r.keys()); err != nil {
		return err
	}
	if len(r.Users) == 0 && len(r.Groups) == 0 {
		return errors.New("it names neither users nor groups")
	}
	return r.validate()
}

// For returns what holds for a user with these groups.
func (c *Config) For(user string, groups []string) Policy {
	for i := range c.Rules {
		if c.Rules[i].matches(user, groups) {
			return c.Rules[i].Policy
		}
	}
	return c.Policy
}

func (r *Rule) matches(user string, groups []string) bool {
	if slices.Contains(r.Users, user) {
		return true
	}
	for _, g := range r.Groups {
		if slices.Contains(groups, g) {
			return true
		}
	}
	return false
}
