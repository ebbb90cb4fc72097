// SPDX-License-Identifier: AGPL-3.0-or-later

// Command castgate-guard stands beside castgate-wrap for what only a
// privileged process can see or do. See castgate-guard(8).
package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"os/user"
	"strconv"
	"syscall"
	"time"

	"castgate/cmd/internal/cli"
	"castgate/wrap/guard"
)

const description = `
Takes the outer terminal of recorded sessions away from everybody else, tells
the recorder what only a privileged process can know, and ends what a session
leaves behind. systemd starts it (castgate-guard.socket).

"castgate-guard session-hook" is for pam_exec(8): it notes with which key a
person came in. It always exits with status 0.`

// hookTime is all that the hook may delay a login or its end; it needs a few
// milliseconds.
const hookTime = 2 * time.Second

func main() { cli.Main("castgate-guard", run) }

func run(env *cli.Env) error {
	fs := env.Flags("castgate-guard [-listen PATH] [-run DIR] [-logins FILE] [session-hook]", description)
	path := fs.String("listen", "", "make this socket instead of taking systemd's")
	group := fs.String("group", "castgate", "the group of the recorder")
	runDir := fs.String("run", guard.RunDir, "where the session hook leaves its records")
	logins := fs.String("logins", guard.Logins, "where castgate-keys tells whose keys it knows")
	if err := env.Parse(fs, env.Args); err != nil {
		return err
	}
	switch {
	case fs.NArg() == 1 && fs.Arg(0) == guard.Revoker: // the guard starts this itself
		signal.Ignore(syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU)
		return guard.ServeRevoker()
	case fs.NArg() == 0:
		return serve(env, *path, *group, &guard.Guard{RunDir: *runDir, Logins: *logins, Log: env.Log})
	case fs.NArg() == 1 && fs.Arg(0) == "session-hook":
		hook(env, *group, *runDir)
		return nil
	}
	return cli.Usage("unexpected argument %q", fs.Arg(0))
}

func serve(env *cli.Env, path, group string, g *guard.Guard) error {
	l, err := listen(env, path, group)
	if err != nil {
		return err
	}
	if err := guard.Confine(); err != nil {
		return cli.Hint(err, "start it through castgate-guard.service, or as root")
	}
	env.PatientLog()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := guard.Ready(env.Getenv); err != nil {
		env.Log.Warn("systemd was not told", "why", err)
	}
	return g.Serve(ctx, l)
}

func listen(env *cli.Env, path, group string) (*os.File, error) {
	if path == "" {
		l, err := guard.Activated(env.Getenv)
		return l, cli.Hint(err, "systemctl start castgate-guard.socket, or use -listen PATH")
	}
	gid, err := groupID(group)
	if err != nil {
		return nil, err
	}
	return guard.Listen(path, gid)
}

// hook never fails: a login must not hang from it. What went wrong is logged.
func hook(env *cli.Env, group, runDir string) {
	done := make(chan error, 1)
	go func() {
		gid, err := groupID(group)
		if err != nil {
			gid = 0 // the guard still reads it
		}
		done <- errors.Join(err, guard.Hook{RunDir: runDir, GID: gid, Getenv: env.Getenv, Parent: os.Getppid(), Account: account}.Run())
	}()
	select {
	case err := <-done:
		if err != nil {
			env.Log.Error("session hook", "user", env.Getenv("PAM_USER"), "event", env.Getenv("PAM_TYPE"), "why", err)
		}
	case <-time.After(hookTime):
		env.Log.Error("session hook", "user", env.Getenv("PAM_USER"), "event", env.Getenv("PAM_TYPE"), "why", "out of time")
	}
}

func groupID(name string) (int, error) {
	g, err := user.LookupGroup(name)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(g.Gid)
}
