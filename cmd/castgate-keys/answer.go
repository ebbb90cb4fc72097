// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"context"
	"io"
	"strings"
	"time"

	"castgate/cmd/internal/cli"
	"castgate/cmd/internal/config"
	"castgate/keys"
	"castgate/keys/prepared"
	"castgate/keys/pubkey"
	"castgate/keys/settings"
	"castgate/wrap/hint"
)

// authorized answers sshd. What it prints is written at once and at the end:
// sshd takes half a line for a whole one.
func (c *command) authorized(args []string) error {
	if len(args) != 1 && len(args) != 3 {
		return cli.Usage("want USER or USER TYPE KEY, got %d arguments", len(args))
	}
	account, offered := args[0], (*pubkey.Key)(nil)
	if len(args) == 3 {
		k, err := pubkey.Parse(args[1], args[2])
		if err != nil {
			c.env.Log.Info("refused", "account", account, "why", err)
			return nil
		}
		offered = &k
	}
	d, err := c.recall(account, offered), error(nil)
	if d == nil {
		d, err = c.decide(account, offered)
	}
	if err != nil {
		return err
	}
	_, err = io.WriteString(c.env.Stdout, strings.Join(d.Lines, ""))
	return err
}

// recall is the decision that stands finished in the cache, nil when there is
// none. It saves the second and third question of a login most of the program:
// who is in a team was found out, and the configuration was checked, when the
// answer was made, and any change to the configuration makes another ConfigID.
func (c *command) recall(account string, offered *pubkey.Key) *keys.Decision {
	conf := struct{ Cache settings.Cache }{settings.Cache{Dir: settings.DefaultDir}}
	id, err := prepared.ConfigID(c.config)
	if err != nil || !settings.ValidAccount(account) || config.Peek(c.config, &conf) != nil {
		return nil
	}
	key, now := "", time.Now()
	if offered != nil {
		key = offered.String()
	}
	a, ok := prepared.Find(conf.Cache.Dir, account, id, key, now)
	if !ok {
		return nil
	}
	d := keys.Recall(a, offered, now)
	d.Log(c.env.Log, nil)
	return d
}

// decide asks the service, and writes down what it says for the next question.
func (c *command) decide(account string, offered *pubkey.Key) (*keys.Decision, error) {
	s, err := c.service()
	if err != nil {
		c.env.Log.Error("failed", "account", account, "why", err)
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.Config.GitHub.Timeout)
	defer cancel()
	d, err := s.Decide(ctx, account, offered)
	d.Log(c.env.Log, err)
	if err != nil {
		return nil, err
	}
	if err := s.See(d); err != nil {
		c.env.Log.Warn("whose the account is could not be noted", "account", account, "why", err, "hint", hint.Of(err))
	}
	if err := s.Prepare(account); err != nil {
		c.env.Log.Warn("no finished answer", "account", account, "why", err)
	}
	return d, nil
}
