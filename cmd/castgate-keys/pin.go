// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"castgate/cmd/internal/cli"
	"castgate/keys"
)

// pin says whose each account is, and lets root say it.
func (c *command) pin(args []string) error {
	adopt := c.fs.Bool("adopt", false, "pin: take over what an older castgate-keys knew")
	remove := c.fs.String("remove", "", "pin: forget whose `ACCOUNT` is")
	all := c.fs.Bool("all", false, "pin: pin every account that opens by name and whose owner is known")
	if err := c.env.Parse(c.fs, args); err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return cli.Hint(errors.New("whose an account is, is root's to say"), "run it as root")
	}
	s, err := c.service()
	if err != nil {
		return err
	}
	var done []keys.Owner
	switch args = c.fs.Args(); {
	case len(args) == 2:
		done, err = c.pinOne(s, args[0], args[1])
	case len(args) > 0:
		return cli.Usage("want pin ACCOUNT LOGIN, got %d arguments", len(args))
	case *remove != "":
		return s.Unpin(*remove)
	case *adopt:
		done, err = s.Adopt()
	case *all:
		done, err = s.PinAll()
	default:
		done, err = s.Owners()
	}
	for _, o := range done {
		fmt.Fprintln(c.env.Stdout, o)
	}
	return err
}

func (c *command) pinOne(s *keys.Service, account, login string) ([]keys.Owner, error) {
	ctx, cancel := context.WithTimeout(context.Background(), s.Config.GitHub.Timeout)
	defer cancel()
	o, err := s.Pin(ctx, account, login)
	if err != nil {
		return nil, err
	}
	c.env.Log.Info("pinned", "account", o.Account, "login", o.Login, "id", o.ID)
	return []keys.Owner{o}, nil
}
