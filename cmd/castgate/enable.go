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
	user := fs.String("user", "", "the `ACCOUNT` of the trial login (default: the person behind sudo, or the first one who gets in)")
	force := fs.Bool("force", false, "go on where nobody would get in, or you would not, and over edits of the drop-in")
	none := fs.String("no-trial", "", "without a trial login, for the image of a host to be; `WHY` goes on record")
	return switchCommand(env, fs, func(ctx context.Context, s *host.Switch) error {
		s.User, s.Force, s.NoTrial = *user, *force, *none
		if s.User != "" && s.NoTrial != "" {
			return cli.Usage("-user names who tries, and -no-trial says that nobody does")
		}
		if err := s.ShowPeople(); err != nil {
			return err
		}
		err := s.Enable(ctx)
		if err != nil && !errors.Is(err, host.Unchanged) {
			return err
		}
		if s.NoTrial != "" {
			env.Log.Warn("enabled without a trial login", "why", s.NoTrial)
		}
		if err := s.PinPeople(); err != nil {
			return err
		}
		return err
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
		ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
		defer stop()
		// Whoever stops reading what it says (enable | head) does not stop a change
		// half-way: with the signal caught, what is written there is lost.
		signal.Notify(make(chan os.Signal, 1), unix.SIGPIPE)
		s := &host.Switch{Out: env.Stdout, DryRun: *dry, Yes: *yes}
		s.Agree = func() (bool, error) { return ask(env, "Make this change? [y/N] ") }
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
