// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"context"
	"encoding/json"
	"strings"

	"castgate/keys/settings"
)

// answers prints what sshd would be told about each account, one JSON object a
// line. Nothing of it is logged or noted: nobody logs in.
func (c *command) answers(accounts []string) error {
	s, err := c.service()
	if err != nil {
		return err
	}
	out := json.NewEncoder(c.env.Stdout)
	for _, account := range accounts {
		ctx, cancel := context.WithTimeout(context.Background(), s.Config.GitHub.Timeout)
		d, err := s.Decide(ctx, account, nil)
		cancel()
		if err := out.Encode(d.Answer(err)); err != nil {
			return err
		}
	}
	return nil
}

// withTrial lets the key of castgate enable's trial login in, as an emergency
// key: that login goes the way of all others, with this program and this
// configuration. Only root can have put it there, and only while the trial runs.
func withTrial(c *settings.Config, account string) {
	file, there := settings.Trial(account)
	if !there {
		return
	}
	if c.Emergency == nil {
		c.Emergency = map[string]string{}
	}
	c.Emergency[strings.ToLower(account)] = file
}
