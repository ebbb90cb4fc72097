// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"context"
	"encoding/json"
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
