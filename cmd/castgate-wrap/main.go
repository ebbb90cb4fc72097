// SPDX-License-Identifier: AGPL-3.0-or-later

// castgate-wrap runs a session of the user that sshd has let in, and records
// it. It is sshd's ForceCommand or the user's login shell.
package main

import (
	"errors"
	"os"
	"runtime/debug"
	"slices"

	"castgate/cmd/internal/cli"
	"castgate/wrap"
	"castgate/wrap/config"
	"castgate/wrap/terminal"
)

const help = `
Runs the user's shell, or the command that ssh was given, and records what it
shows. It takes no flags for that: sshd starts it as ForceCommand or as the
login shell (castgate-wrap -c COMMAND), and /etc/castgate/wrap.yaml says what is
recorded. See castgate-wrap(8).`

func main() {
	// A session allocates nothing as it runs, so that there is nothing to collect.
	// GOMAXPROCS stays: to lower it stops the world at each login, and what a
	// processor that goes had cached is 200 KB of an idle session.
	debug.SetGCPercent(-1)
	cli.Main("castgate-wrap", run)
}

func run(env *cli.Env) error {
	asked := []string{"-h", "-help", "--help", "-version", "--version"}
	if len(env.Args) == 1 && slices.Contains(asked, env.Args[0]) {
		return env.Parse(env.Flags("castgate-wrap [-h] [-version]", help), env.Args)
	}
	end, err := wrap.Run(wrap.Invocation{
		Argv: os.Args, Environ: os.Environ(), Version: cli.Version,
		Log:    cli.Syslog(env.Name), // standard error is the user's
		Config: config.Path,
	})
	var refused *wrap.Refused
	switch {
	case errors.As(err, &refused):
		return &cli.Status{Code: cli.StatusRefused, Err: err}
	case err != nil && end.Status == 0:
		return err
	case err != nil:
		return &cli.Status{Code: end.Status, Err: err}
	case end.Signal != 0:
		terminal.DieOf(end.Signal)
	}
	return cli.Exit(end.Status)
}
