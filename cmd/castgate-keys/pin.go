// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"castgate/cmd/internal/cli"
	"castgate/keys"
	"castgate/keys/owners"
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
	var done []owners.Owner
	switch args = c.fs.Args(); {
	case len(args) == 2:
		done, err = c.pinOne(s, args[0], args[1])
	case len(args) > 0:
		return cli.Usage("want pin ACCOUNT LOGIN, got %d arguments", len(args))
	case *remove != "":
		return s.Owners.Unpin(*remove)
	case *adopt:
		done, err = s.Owners.Adopt()
		c.tellClosed(s.Owners.Namesakes())
	case *all:
		done, err = s.Owners.PinAll()
	default:
		done, err = s.Owners.List()
	}
	for _, o := range done {
		fmt.Fprintln(c.env.Stdout, o)
	}
	return err
}

// tellClosed tells, at an upgrade, who is not let in any more by a name alone.
func (c *command) tellClosed(accounts []string) {
	if len(accounts) > 0 {
		err := fmt.Errorf("named like members, and open to nobody: %s", strings.Join(accounts, ", "))
		c.env.Complain(cli.Hint(err, "usermod -aG castgate-people ACCOUNT, or castgate-keys pin ACCOUNT LOGIN, for each that is the member's"))
	}
}

func (c *command) pinOne(s *keys.Service, account, login string) ([]owners.Owner, error) {
	ctx, cancel := context.WithTimeout(context.Background(), s.Config.GitHub.Timeout)
	defer cancel()
	o, err := s.Pin(ctx, account, login)
	if err != nil {
		return nil, err
	}
	c.env.Log.Info("pinned", "account", o.Account, "login", o.Login, "id", o.ID)
	return []owners.Owner{o}, nil
}
