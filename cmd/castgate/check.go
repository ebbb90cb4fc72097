// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"context"
	"errors"
	"flag"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"

	"castgate/cmd/internal/cli"
	"castgate/cmd/internal/host"
)

func checkCommand(env *cli.Env, fs *flag.FlagSet) func() error {
	asJSON := fs.Bool("json", false, "print the findings as JSON")
	verbose := fs.Bool("v", false, "list everything that was looked at, and what follows from a cause already named")
	watch := fs.Bool("watch", false, "tell only what has changed since the last time, in the log and in "+host.WatchDir)
	sessions := fs.Bool("sessions", false, "compare the sessions that sshd started with the recordings instead")
	var since time.Duration
	cli.DurationVar(fs, &since, "since", 24*time.Hour, "how far back -sessions looks: a `duration`")
	return func() error {
		if fs.NArg() > 0 {
			return cli.Usage("unexpected argument %q", fs.Arg(0))
		}
		ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
		defer stop()
		h, err := host.Look(ctx)
		if err != nil {
			return cli.Hint(err, "sudo castgate check")
		}
		if *watch {
			return watched(env, h)
		}
		var all []host.Finding
		if *sessions {
			all = h.Sessions(time.Now().Add(-since))
		} else {
			all = h.Check()
		}
		shown, write := all, host.WriteText
		switch {
		case *asJSON:
			write = host.WriteJSON
		case !*verbose && !*sessions:
			shown = h.Brief(all)
		}
		if err := write(env.Stdout, shown); err != nil {
			return err
		}
		if host.Failed(all) {
			return cli.Exit(cli.StatusFailed)
		}
		return nil
	}
}

// watched is what the timer runs: a unit that fails shows in systemctl --failed.
func watched(env *cli.Env, h *host.Host) error {
	all := h.Check()
	if err := h.Watch(all, host.WatchDir, env.Log); err != nil {
		return err
	}
	if host.Failed(all) {
		return cli.Hint(errors.New("this host is not as it should be"), "castgate check says what to do; journalctl -t castgate what has changed")
	}
	return nil
}
