// SPDX-License-Identifier: AGPL-3.0-or-later

// castgate-once serves one audited SSH session and ends: for containers that
// have no sshd.
package main

import (
	"errors"
	"log/slog"
	"os"
	"runtime"
	"time"

	"castgate/cmd/internal/cli"
	"castgate/wrap/once"
)

const synopsis = "castgate-once -authorized-keys FILE|- [-port 2022] [-log FILE] [-log-format cast|raw] [-announce CMD] [-timeout 10m] [-listen ADDR]"

const help = `
Waits for one SSH client that proves an authorized key, runs $SHELL or the
command that it asks for, records the session, and exits with its status. The
host key is new each time; its public line goes to standard output and to the
announce command as its one argument, the port in CASTGATE_PORT. After -timeout
without a session it says so and exits with status 0. See castgate-once(1).`

func main() {
	// The recorder's loop keeps a processor for up to a millisecond at a time;
	// the SSH side needs another, also where the container has only one.
	runtime.GOMAXPROCS(max(2, runtime.GOMAXPROCS(0)))
	cli.Main("castgate-once", run)
}

func run(env *cli.Env) error {
	c := once.Config{
		Stdin: env.Stdin, Stdout: env.Stdout, Stderr: env.Stderr, Environ: os.Environ(), Version: cli.Version,
		Logger: slog.New(slog.NewTextHandler(env.Stderr, nil)), // a container has no syslog
	}
	fs := env.Flags(synopsis, help)
	fs.StringVar(&c.AuthorizedKeys, "authorized-keys", "", "the keys that may log in, in sshd's authorized_keys `format`; - reads standard input")
	fs.IntVar(&c.Port, "port", 2022, "TCP port; 0 takes any free one")
	fs.StringVar(&c.Listen, "listen", "", "`address` to listen on (default all)")
	fs.StringVar(&c.Log, "log", "", "`file` for the recording (default standard output)")
	fs.StringVar(&c.LogFormat, "log-format", once.FormatCast, "cast (asciicast v3) or raw (a plain transcript: what was asked for, shown and, without a terminal, sent)")
	fs.BoolVar(&c.LogPasswords, "log-passwords", false, "record also what is typed while the terminal doesn't echo")
	fs.StringVar(&c.Announce, "announce", "", "`program` to run with the host key's public line when the port is open")
	cli.DurationVar(fs, &c.Timeout, "timeout", 10*time.Minute, "how long to wait for a session: a `duration` or plain seconds")
	if err := env.Parse(fs, env.Args); err != nil {
		return err
	}
	if err := check(c, fs.Args()); err != nil {
		return err
	}
	status, err := once.Run(c)
	var fault *once.Fault
	switch {
	case errors.As(err, &fault):
		return &cli.Status{Code: fault.Status, Err: err}
	case err != nil && status != 0:
		return &cli.Status{Code: status, Err: err}
	case err != nil:
		return err
	}
	return cli.Exit(status)
}

// check holds the command line against what can be.
func check(c once.Config, rest []string) error {
	switch {
	case len(rest) > 0:
		return cli.Usage("argument %q is not understood", rest[0])
	case c.AuthorizedKeys == "":
		return cli.Hint(cli.Usage("-authorized-keys is missing"), "castgate-once -h lists the flags")
	case c.Port < 0 || c.Port > 65535:
		return cli.Usage("-port %d is not between 0 and 65535", c.Port)
	case c.Timeout <= 0:
		return cli.Usage("-timeout %s is not positive", c.Timeout)
	case c.LogFormat != once.FormatCast && c.LogFormat != once.FormatRaw:
		return cli.Usage("-log-format %q is neither cast nor raw", c.LogFormat)
	}
	return nil
}
