// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"castgate/cmd/internal/cli"
	"castgate/cmd/internal/host"
)

func enableCommand(env *cli.Env, fs *flag.FlagSet) func() error {
	user := fs.String("user", "", "the `ACCOUNT` of the trial login (default: the person behind sudo, or the first one)")
	return switchCommand(env, fs, func(ctx context.Context, s *host.Switch) error {
		s.User = *user
		if err := s.ShowPeople(); err != nil {
			return err
		}
		if err := s.Enable(ctx); err != nil {
			return err
		}
		return s.PinPeople()
	})
}

func disableCommand(env *cli.Env, fs *flag.FlagSet) func() error {
	return switchCommand(env, fs, func(ctx context.Context, s *host.Switch) error { return s.Disable(ctx) })
}

// switchCommand is what enable and disable have in common.
func switchCommand(env *cli.Env, fs *flag.FlagSet, do func(context.Context, *host.Switch) error) func() error {
	dry := fs.Bool("dry-run", false, "show the change and make none")
	yes := fs.Bool("yes", false, "do not ask")
	return func() error {
		if fs.NArg() > 0 {
			return cli.Usage("unexpected argument %q", fs.Arg(0))
		}
		if os.Geteuid() != 0 {
			return cli.Hint(errors.New("only root can change sshd's configuration"), "sudo %s", env.Name)
		}
		ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
		defer stop()
		s := &host.Switch{Out: env.Stdout, DryRun: *dry, Agree: func() (bool, error) { return true, nil }}
		if !*yes {
			s.Agree = func() (bool, error) { return ask(env, "Make this change? [y/N] ") }
		}
		return do(ctx, s)
	}
}

// ask wants a person's answer.
func ask(env *cli.Env, question string) (bool, error) {
	if !term.IsTerminal(int(env.Stdin.Fd())) {
		return false, cli.Hint(host.ErrDeclined, "there is no terminal to ask at; -yes answers for you")
	}
	fmt.Fprint(env.Stdout, question)
	line, err := bufio.NewReader(env.Stdin).ReadString('\n')
	return strings.EqualFold(strings.TrimSpace(line), "y") || strings.EqualFold(strings.TrimSpace(line), "yes"), err
}
