// SPDX-License-Identifier: AGPL-3.0-or-later

// Package wrap runs one session of one user and records it.
//
// It is the inside of castgate-wrap, which is setgid: nothing of the
// environment, the arguments or the current directory is trusted, and the
// group never reaches anything that the recorder starts. The order is what
// makes the promise: the recording is locked, written and synced before the
// terminal is taken, and both before any code of the user's runs; each byte is
// in the recording before it is shown.
package wrap

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"castgate/wrap/account"
	"castgate/wrap/asciicast"
	"castgate/wrap/config"
	"castgate/wrap/guard"
	"castgate/wrap/record"
	"castgate/wrap/setgid"
)

// Run runs the session that inv asks for.
func Run(inv Invocation) (record.End, error) {
	s := &session{inv: inv, id: asciicast.NewID(time.Now()), start: time.Now()}
	s.log = slog.New(sessionLog{inv.Log.With("session", s.id).Handler(), s})
	bySu := guard.StartedBySu(os.Getpid())
	s.req = parseRequest(inv.Argv, bySu, s.lookupEnv)
	raiseLimits()
	if err := enoughDescriptors(); err != nil {
		return record.End{}, s.refuse(err)
	}
	var err error
	if s.account, err = account.Of(os.Getuid(), s.getenv("USER")); err != nil {
		return record.End{}, s.refuse(err)
	}
	var broken error
	s.config, broken = config.Read(inv.Config)
	s.policy = s.config.For(s.account.Name, s.groups())
	s.shell = account.RealShell(s.account, s.config.Shells, account.Executable)
	if s.req.AsShell && (!s.req.SSH || bySu) && (!s.policy.Record.Su || broken != nil) {
		return record.End{}, s.becomeShell()
	}
	if err := s.restrict(); err != nil {
		return record.End{}, s.refuse(err)
	}
	s.describe()
	if err := errors.Join(broken, s.begin(broken == nil)); err != nil {
		if !s.mayGoOn() || s.wake == nil { // without a Waker nothing can run
			s.discard()
			return record.End{}, s.refuse(err)
		}
		s.goOnUnrecorded(err)
	}
	return s.run()
}

// run runs the program and ends the recording.
func (s *session) run() (record.End, error) {
	s.log.Info(guard.LineStart, s.who("guard", s.header.Session.Guard)...)
	end, err := s.program()
	lost := s.rec.Err()
	if err != nil && lost == nil { // it could not be run at all
		end = record.NotRun(err)
		if s.rec.Output(fmt.Appendf(nil, "castgate-wrap: %v\r\n", err)) != nil { // as the person will be told it
			lost = s.rec.Err()
		}
	}
	s.leftovers()
	s.close(end)
	s.log.Info(guard.LineEnd, s.who(s.rec.Outcome(end, s.facts)...)...)
	if lost != nil && !s.rec.Allow {
		return end, &Refused{Session: s.id, Ended: true, cause: lost}
	}
	return end, err
}

// becomeShell is for su(1), cron and others that start the login shell without
// sshd: they get the real shell, and nothing of ours stays.
func (s *session) becomeShell() error {
	argv := []string{filepath.Base(s.shell)}
	if s.req.Login {
		argv[0] = "-" + argv[0]
	}
	if s.req.HasCommand {
		argv = append(argv, "-c", s.req.Command)
	}
	env := make([]string, 0, len(s.inv.Environ))
	for _, kv := range s.inv.Environ {
		if !strings.HasPrefix(kv, "SHELL=") {
			env = append(env, kv)
		}
	}
	if err := setgid.Drop(); err != nil {
		return err
	}
	return fmt.Errorf("run %q: %w", s.shell, unix.Exec(s.shell, argv, append(env, "SHELL="+s.shell)))
}
