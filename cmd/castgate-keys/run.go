// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"context"
	"errors"
	"flag"

	"castgate/cmd/internal/cli"
	"castgate/cmd/internal/config"
	"castgate/keys"
	"castgate/keys/github"
	"castgate/keys/prepared"
	"castgate/keys/pubkey"
	"castgate/keys/settings"
)

// command is what the command line asks for.
type command struct {
	env    *cli.Env
	config string
	fs     *flag.FlagSet
}

func run(env *cli.Env) error {
	c := &command{env: env}
	c.fs = env.Flags(synopsis, description)
	c.fs.StringVar(&c.config, "config", settings.DefaultFile, "read the configuration from `FILE`")
	if err := env.Parse(c.fs, env.Args); err != nil {
		return err
	}
	secretive()
	args := c.fs.Args()
	switch {
	case len(args) == 0:
		return cli.Hint(cli.Usage("no USER"), "castgate-keys -h shows the usage")
	case args[0] == "refresh" && !offersKey(args):
		return c.refresh(args[1:])
	case args[0] == "explain" && !offersKey(args):
		return c.explain(args[1:])
	case args[0] == "pin" && !offersKey(args):
		return c.pin(args[1:])
	}
	return c.authorized(args)
}

// offersKey tells sshd's question about an account that is called "refresh",
// "explain" or "pin" from the subcommand: only sshd passes a key.
func offersKey(args []string) bool {
	if len(args) != 3 {
		return false
	}
	_, err := pubkey.Parse(args[1], args[2])
	return err == nil
}

// service reads the configuration.
func (c *command) service() (*keys.Service, error) {
	// Before the file is read: a change while it is read makes another id.
	id, _ := prepared.ConfigID(c.config)
	conf := settings.Default()
	if err := config.Load(c.config, conf); err != nil {
		return nil, err
	}
	s, err := keys.New(conf)
	if err != nil {
		c.env.Log.Warn("no cache", "why", err)
	}
	s.ConfigID = id
	github.Connect(s)
	return s, nil
}

// refresh brings the cache up to date. What is made of it is made even when
// GitHub could not be asked: from what is known, as long as that may be stale.
func (c *command) refresh(args []string) error {
	files := c.fs.String("files", "", "refresh: also write an authorized_keys file for each account into `DIR`")
	accounts := c.fs.Bool("accounts", false, "refresh: also write user records for members without an account")
	if err := c.env.Parse(c.fs, args); err != nil {
		return err
	}
	if c.fs.NArg() > 0 {
		return cli.Usage("refresh takes no %q", c.fs.Arg(0))
	}
	s, err := c.service()
	if err != nil {
		return err
	}
	err = s.Refresh(context.Background())
	if *accounts {
		err = errors.Join(err, s.Accounts())
	}
	if *files != "" {
		err = errors.Join(err, s.Render(*files))
	}
	if err != nil {
		c.env.Log.Error("refresh failed", "why", err)
	}
	return err
}

func (c *command) explain(args []string) error {
	if err := c.env.Parse(c.fs, args); err != nil {
		return err
	}
	args = c.fs.Args()
	if len(args) != 1 && len(args) != 2 {
		return cli.Usage("want explain USER [KEYFILE]")
	}
	s, err := c.service()
	if err != nil {
		return err
	}
	var offered *pubkey.Key
	if len(args) == 2 {
		k, err := pubkey.ReadFile(args[1])
		if err != nil {
			return err
		}
		offered = &k
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.Config.GitHub.Timeout)
	defer cancel()
	d, err := s.Decide(ctx, args[0], offered)
	d.Explain(c.env.Stdout, err)
	d.Log(c.env.Log, err)
	if !d.Allowed() {
		return cli.Exit(cli.StatusFailed)
	}
	return nil
}
