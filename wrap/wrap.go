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
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"castgate/wrap/asciicast"
	"castgate/wrap/guard"
	"castgate/wrap/spool"
)

// Invocation is the process as castgate-wrap found it.
type Invocation struct {
	Argv    []string // with argv[0]
	Environ []string
	Version string
	Log     *slog.Logger
	Config  string // ConfigPath; another one only in tests
}

// Refused is a session that policy doesn't let begin or go on. Its text is for
// the person; the cause, with paths of this host, is in the log.
type Refused struct {
	Session string
	Ended   bool // it had begun
	cause   error
}

func (r *Refused) Error() string {
	if r.Ended {
		return "this session can't be recorded any longer and has been ended"
	}
	return "this session can't be recorded and is refused"
}

// Hint tells the person what to tell his administrator.
func (r *Refused) Hint() string {
	return "tell your administrator; the system log says why under session " + r.Session
}

func (r *Refused) Unwrap() error { return r.cause }

// session is one run of the recorder.
type session struct {
	inv     Invocation
	req     Request
	account Account
	config  Config
	policy  Policy
	shell   string
	command Program
	moved   Transfer // what a transfer runs
	tty     bool
	typed   []byte // before the terminal was revoked
	id      string
	header  asciicast.Header
	log     *slog.Logger
	start   time.Time

	wake  *Waker
	dir   *spool.Dir
	file  *os.File
	rec   *Recorder
	guard atomic.Pointer[guard.Conn] // nil without one
	over  atomic.Bool                // the line of its end has been said
	facts string                     // of a transfer
}

// Run runs the session that inv asks for.
func Run(inv Invocation) (End, error) {
	s := &session{inv: inv, id: asciicast.NewID(time.Now()), start: time.Now()}
	s.log = slog.New(telling{inv.Log.With("session", s.id).Handler(), s})
	bySu := guard.StartedBySu(os.Getpid())
	s.req = ParseRequest(inv.Argv, bySu, s.lookupEnv)
	raiseLimits()
	if err := enoughDescriptors(); err != nil {
		return End{}, s.refuse(err)
	}
	var err error
	if s.account, err = AccountOf(os.Getuid(), s.getenv("USER")); err != nil {
		return End{}, s.refuse(err)
	}
	var broken error
	s.config, broken = ReadConfig(inv.Config)
	s.policy = s.config.For(s.account.Name, s.groups())
	s.shell = RealShell(s.account, s.config.Shells, executable)
	if s.req.AsShell && (!s.req.SSH || bySu) && (!s.policy.Record.Su || broken != nil) {
		return End{}, s.becomeShell()
	}
	if err := s.restrict(); err != nil {
		return End{}, s.refuse(err)
	}
	s.describe()
	if err := errors.Join(broken, s.begin(broken == nil)); err != nil {
		if !s.mayGoOn() || s.wake == nil { // without a Waker nothing can run
			s.discard()
			return End{}, s.refuse(err)
		}
		s.goOnUnrecorded(err)
	}
	return s.run()
}

func (s *session) lookupEnv(key string) (string, bool) {
	for _, kv := range s.inv.Environ {
		if v, ok := strings.CutPrefix(kv, key+"="); ok {
			return v, true
		}
	}
	return "", false
}

func (s *session) getenv(key string) string {
	v, _ := s.lookupEnv(key)
	return v
}

// groups are looked up only for rules that name some.
func (s *session) groups() []string {
	for _, r := range s.config.Rules {
		if len(r.Groups) > 0 {
			return GroupNames()
		}
	}
	return nil
}

// mayGoOn decides in one place between fail open and fail closed. Root is
// never locked out of a host whose disk he must empty.
func (s *session) mayGoOn() bool { return s.policy.OnFailure == "allow" || os.Getuid() == 0 }

func (s *session) refuse(err error) error {
	s.log.Error(guard.LineRefused, s.who("why", err.Error(), "hint", hintOf(err))...)
	return &Refused{Session: s.id, cause: err}
}

func hintOf(err error) string {
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}

// who is the fields that every line about a session has.
func (s *session) who(more ...any) []any {
	h := s.header.Session
	if h == nil {
		h = &asciicast.Session{}
	}
	fields := []any{
		"account", s.account.Name, "uid", os.Getuid(), "login", h.Login, "key", h.Key, "client", h.Client,
		"kind", h.Kind, "tty", s.tty, "mode", h.Mode, "nested", h.Nested, "parent", h.Parent,
	}
	return append(fields, more...)
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
	if err := dropForExec(); err != nil {
		return err
	}
	return fmt.Errorf("run %q: %w", s.shell, unix.Exec(s.shell, argv, append(env, "SHELL="+s.shell)))
}

// describe decides what runs and fills the header.
func (s *session) describe() {
	s.tty = term.IsTerminal(0)
	s.command = Program{Path: s.shell, Argv: []string{filepath.Base(s.shell)}, Attr: *unprivileged()}
	kind := asciicast.KindShell
	switch {
	case !s.req.HasCommand && s.req.Login:
		s.command.Argv[0] = "-" + s.command.Argv[0]
	case s.req.HasCommand:
		kind = asciicast.KindCommand
		s.command.Argv = append(s.command.Argv, "-c", s.req.Command)
		if t, ok := s.transfer(); ok {
			kind = asciicast.KindTransfer
			if t.Subsystem {
				kind = asciicast.KindSubsystem
			}
			s.command.Path, s.command.Argv, s.moved = t.Path, t.Argv, t
		}
	}
	client, server := endpoints(s.getenv("SSH_CONNECTION"))
	s.header = asciicast.Header{
		Timestamp: s.start.Unix(),
		Term:      asciicast.Term{Type: strings.ToValidUTF8(s.getenv("TERM"), "\ufffd")},
		Command:   strings.ToValidUTF8(s.req.Command, "\ufffd"),
		Env:       recordedEnv(s.getenv, s.shell),
		Session: &asciicast.Session{
			ID: s.id, Mode: Mode(), Host: hostname(), User: s.account.Name, UID: os.Getuid(),
			Client: client, Server: server, TTY: s.tty, Kind: kind,
			Asked: strings.ToValidUTF8(s.req.Original, "\ufffd"), Shell: s.shellBefore(),
			Boot: bootID(), Audit: auditSession(), Version: "castgate " + s.inv.Version,
		},
	}
	s.sized()
}

// sized puts the terminal's size into the header.
func (s *session) sized() {
	if ws, err := outerSize(); s.tty && err == nil {
		s.header.Term.Cols, s.header.Term.Rows = int(ws.Col), int(ws.Row)
	}
}

// environment is what the session's program gets.
func (s *session) environment(tty string) []string {
	env := Environment(s.inv.Environ, s.account, s.shell, tty, s.id)
	if s.req.HasOriginal {
		env = append(env, "SSH_ORIGINAL_COMMAND="+s.req.Original)
	}
	return env
}

// transfer recognises a file transfer, but only without a terminal: with one
// everything is recorded, whatever the command says. And only where the shell
// would run any command: one that refuses some (rbash, git-shell) is asked.
func (s *session) transfer() (Transfer, bool) {
	if s.tty || !ordinaryShell(s.shell) {
		return Transfer{}, false
	}
	return ParseTransfer(s.req.Command, s.account.Home)
}

func outerSize() (*unix.Winsize, error) { return unix.IoctlGetWinsize(0, unix.TIOCGWINSZ) }

// run runs the program and ends the recording.
func (s *session) run() (End, error) {
	s.log.Info(guard.LineStart, s.who("guard", s.header.Session.Guard)...)
	end, err := s.program()
	lost := s.rec.Err()
	if err != nil && lost == nil { // it could not be run at all
		end = End{Status: NotRun(err), Ended: true}
	}
	s.leftovers()
	s.close(end)
	shown, events, file := s.rec.Counts()
	s.log.Info(guard.LineEnd, s.who("status", end.Status, "hangup", end.Hangup, "seconds", int(time.Since(s.start).Seconds()),
		"shown", shown, "events", events, "bytes", file, "transfer", s.facts, "lost", causeOf(lost))...)
	if lost != nil && !s.rec.Allow {
		return end, &Refused{Session: s.id, Ended: true, cause: lost}
	}
	return end, err
}

func causeOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// program runs the session's program on a terminal or on pipes.
func (s *session) program() (End, error) {
	if err := s.watch(); err != nil {
		return End{}, fmt.Errorf("catch signals: %w", err)
	}
	if s.tty {
		return s.onTerminal()
	}
	s.command.Env = s.environment("")
	transfer := s.moved.Path != ""
	content := s.policy.Record.Commands != "metadata"
	if transfer {
		s.command.Env = s.moved.Environment(s.command.Env)
	}
	p := &Pipes{
		Rec: s.rec, In: 0, Out: 1, Err: 2, Wake: s.wake,
		Output:      content && (!transfer || s.moved.Shows),
		Input:       content && !transfer && s.policy.Record.Input == "all",
		OutputLimit: int64(s.policy.Limits.CommandOutput),
		Facts:       transfer || !content,
	}
	end, err := p.Run(s.command)
	if p.Facts && err == nil {
		s.facts = p.FactsOf()
		_ = s.rec.Marker(s.facts)
	}
	return end, err
}
