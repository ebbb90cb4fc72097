// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap

import (
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"castgate/wrap/account"
	"castgate/wrap/asciicast"
	"castgate/wrap/record"
	"castgate/wrap/setgid"
	"castgate/wrap/terminal"
	"castgate/wrap/transfer"
)

// describe decides what runs and fills the header.
func (s *session) describe() {
	s.tty = terminal.IsTerminal(0)
	s.command = terminal.Program{Path: s.shell, Argv: []string{filepath.Base(s.shell)}, Attr: *setgid.Unprivileged()}
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
	facts := record.Facts{
		Start: s.start, Command: s.req.Command, Shell: s.shell, Term: s.getenv("TERM"), Lang: s.getenv("LANG"),
		Session: asciicast.Session{
			ID: s.id, Mode: setgid.Mode(), User: s.account.Name, Client: client, Server: server, TTY: s.tty, Kind: kind,
			Asked: s.req.Original, Shell: s.shellBefore(), Version: "castgate " + s.inv.Version,
		},
	}
	s.header = facts.Header()
	s.sized()
}

// sized puts the terminal's size into the header.
func (s *session) sized() {
	if ws, err := terminal.WindowSize(); s.tty && err == nil {
		s.header.Term.Cols, s.header.Term.Rows = int(ws.Col), int(ws.Row)
	}
}

// endpoints splits SSH_CONNECTION, "client-ip port server-ip port" (ssh(1)).
func endpoints(connection string) (client, server string) {
	f := strings.Fields(connection)
	if len(f) != 4 {
		return "", ""
	}
	return f[0] + " " + f[1], f[2] + " " + f[3]
}

// environment is what the session's program gets.
func (s *session) environment(tty string) []string {
	env := environment(s.inv.Environ, s.account, s.shell, tty, s.id)
	if s.req.HasOriginal {
		env = append(env, "SSH_ORIGINAL_COMMAND="+s.req.Original)
	}
	return env
}

// transfer recognises a file transfer, but only without a terminal: with one
// everything is recorded, whatever the command says. And only where the shell
// would run any command: one that refuses some (rbash, git-shell) is asked.
func (s *session) transfer() (transfer.Transfer, bool) {
	if s.tty || !account.Ordinary(s.shell) {
		return transfer.Transfer{}, false
	}
	return transfer.Parse(s.req.Command, s.account.Home)
}

// program runs the session's program on a terminal or on pipes.
func (s *session) program() (record.End, error) {
	if s.wake != nil { // else an eventfd could not be had, and nothing will run
		s.wake.Watch(s.guardLeft)
	}
	if s.tty {
		return s.onTerminal()
	}
	s.command.Env = s.environment("")
	isTransfer := s.moved.Path != ""
	content := s.policy.Record.Commands != "metadata"
	if isTransfer {
		s.command.Env = s.moved.Environment(s.command.Env)
	}
	p := &terminal.Pipes{
		Rec: s.rec, In: 0, Out: 1, Err: 2, Wake: s.wake,
		Output:      content && (!isTransfer || s.moved.Shows),
		Input:       content && !isTransfer && s.policy.Record.Input == "all",
		OutputLimit: int64(s.policy.Limits.CommandOutput),
		Facts:       isTransfer || !content,
	}
	end, err := p.Run(s.command)
	if p.Facts && err == nil {
		s.facts = p.Moved()
		_ = s.rec.Marker(s.facts)
	}
	return end, err
}

// onTerminal runs the session between sshd's terminal and one of its own.
func (s *session) onTerminal() (record.End, error) {
	outer, done, err := terminal.Standard(s.wake)
	if err != nil {
		return record.End{}, err
	}
	defer done()
	t := &terminal.Terminal{Rec: s.rec, Input: s.policy.Record.Input, Typed: s.typed, Outer: outer}
	name, err := t.Open()
	if err != nil {
		return record.End{}, err
	}
	restore, err := outer.Take()
	if err != nil {
		return record.End{}, err
	}
	defer restore()
	if s.policy.Notice != "" && s.rec.Err() == nil {
		notice := []byte(s.policy.Notice + "\r\n")
		if err := s.rec.Output(notice); err != nil {
			return record.End{}, err
		}
		_, _ = unix.Write(outer.Out, notice)
	}
	s.command.Env = s.environment(name)
	return t.Run(s.command)
}
