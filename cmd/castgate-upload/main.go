// SPDX-License-Identifier: AGPL-3.0-or-later

// Castgate-upload delivers finished and orphaned recordings from the spool.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"

	"castgate/cmd/internal/cli"
	"castgate/cmd/internal/config"
	"castgate/upload"
)

func main() { cli.Main("castgate-upload", run) }

const (
	synopsis    = "castgate-upload [-config FILE] [drain [-once] | status [-json]]"
	description = `
Delivers the recordings of the spool to the targets of upload.yaml.

drain (the default) works until nothing waits any more, and retries what fails
without end. status says for every recording where it is and what it waits for;
its exit status is 1 when something has waited longer than alert_after.`
)

// statusStopped is what a process that was ended by SIGTERM is expected to
// exit with. The unit file takes it for success.
const statusStopped = 128 + int(unix.SIGTERM)

func run(env *cli.Env) error {
	fs := env.Flags(synopsis, description)
	path := fs.String("config", "/etc/castgate/upload.yaml", "read the configuration from `FILE`")
	if err := env.Parse(fs, env.Args); err != nil {
		return err
	}
	switch verb := fs.Arg(0); verb {
	case "", "drain":
		return drain(env, path, fs.Args())
	case "status":
		return status(env, path, fs.Args())
	default:
		return cli.Hint(cli.Usage("%q is not a command", verb), "the commands are drain and status")
	}
}

// verb parses what follows the verb, where -config may stand too.
func verb(env *cli.Env, path *string, args []string, define func(*flag.FlagSet)) (upload.Config, error) {
	c := upload.Defaults()
	fs := env.Flags(synopsis, description)
	fs.StringVar(path, "config", *path, "read the configuration from `FILE`")
	define(fs)
	if len(args) > 0 {
		if err := env.Parse(fs, args[1:]); err != nil {
			return c, err
		}
	}
	if fs.NArg() > 0 {
		return c, cli.Usage("unexpected argument %q", fs.Arg(0))
	}
	return c, config.Load(*path, &c)
}

func drain(env *cli.Env, path *string, args []string) error {
	var once bool
	c, err := verb(env, path, args, func(fs *flag.FlagSet) {
		fs.BoolVar(&once, "once", false, "try each recording once and do not wait for what fails")
	})
	if err != nil {
		return err
	}
	unix.Umask(0o007) // the archive's group may add to its directories
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	defer stop()
	u, err := upload.New(ctx, c, env.Log)
	if err != nil {
		return stopped(err)
	}
	defer u.Close()
	if once {
		left, err := u.Once(ctx)
		if err == nil && left > 0 {
			err = cli.Hint(fmt.Errorf("recordings are still waiting"), "castgate-upload status says what for")
		}
		if n := u.Aside(); err == nil && n > 0 {
			err = cli.Hint(fmt.Errorf("%d files were put aside and will not be delivered", n), "why is written beside each, in %s/bad", c.Spool)
		}
		return stopped(err)
	}
	return stopped(u.Drain(ctx))
}

func stopped(err error) error {
	if errors.Is(err, upload.ErrStopped) {
		return &cli.Status{Code: statusStopped, Err: err}
	}
	return err
}

func status(env *cli.Env, path *string, args []string) error {
	var asJSON bool
	c, err := verb(env, path, args, func(fs *flag.FlagSet) {
		fs.BoolVar(&asJSON, "json", false, "print JSON")
	})
	if err != nil {
		return err
	}
	s, err := upload.ReadStatus(c, time.Now())
	if err != nil {
		return err
	}
	if asJSON {
		err = s.WriteJSON(env.Stdout)
	} else {
		err = s.WriteText(env.Stdout, time.Now())
	}
	if err == nil && s.Late {
		return cli.Exit(cli.StatusFailed)
	}
	return err
}
