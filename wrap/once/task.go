// SPDX-License-Identifier: AGPL-3.0-or-later

package once

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"

	"castgate/wrap/asciicast"
	"castgate/wrap/record"
	"castgate/wrap/terminal"
	"castgate/wrap/transfer"
)

// task is what the client wants of its session.
type task struct {
	channel  ssh.Channel
	term     string
	terminal *terminal.Terminal // nil without a pty
	name     string             // of the inner terminal
	env      []envRequest
	kind     string // asciicast.Kind…
	command  string // what runs; "" for a shell
	original string // what the client asked for, when the key forces another
	prog     terminal.Program
	copies   sync.WaitGroup // of what was shown, to the client
	facts    string         // of a transfer
}

func (t *task) tty() bool { return t.terminal != nil }

// allocate makes the inner terminal.
func (s *session) allocate(t *task, payload []byte) bool {
	var p ptyRequest
	if s.visitor.key.Options.NoPTY || t.tty() || ssh.Unmarshal(payload, &p) != nil || strings.ContainsRune(p.Term, 0) {
		return false
	}
	s.resize(ssh.Marshal(windowChange{p.Cols, p.Rows, p.XPixel, p.YPixel}))
	x := &terminal.Terminal{Outer: terminal.Outer{Modes: terminalModes([]byte(p.Modes)), Size: s.window, Wake: s.wake, Signals: true}}
	name, err := x.Open()
	if err != nil {
		s.logger.Error("no terminal", s.who("why", err.Error())...)
		return false
	}
	t.terminal, t.name, t.term = x, name, p.Term
	return true
}

// program decides what runs for a shell, exec or subsystem request.
func (s *session) program(t *task, r *ssh.Request) bool {
	var asked text
	if r.Type != "shell" && (ssh.Unmarshal(r.Payload, &asked) != nil || strings.ContainsRune(asked.Value, 0)) {
		return false
	}
	t.kind = asciicast.KindCommand
	t.command = asked.Value
	if r.Type == "subsystem" {
		sftp, ok := transfer.Parse("internal-sftp", s.place.home)
		if asked.Value != "sftp" || !ok {
			s.logger.Warn("subsystem refused", s.who("subsystem", clip(asked.Value), "why", "not present")...)
			return false
		}
		t.kind = asciicast.KindSubsystem
		t.command = sftp.Path // as the Subsystem line of sshd_config(5) would name it
	}
	has := r.Type != "shell"
	if o := s.visitor.key.Options; o.HasCommand {
		if has {
			t.original = t.command
		}
		t.kind, t.command, has = asciicast.KindCommand, o.Command, true
	}
	shell := filepath.Base(s.place.shell)
	t.prog = terminal.Program{Path: s.place.shell, Argv: []string{"-" + shell}, Dir: s.place.directory(), Env: s.environment(t)}
	if !has {
		t.kind = asciicast.KindShell
		return true
	}
	t.prog.Argv = []string{shell, "-c", t.command}
	if transfer, ok := transfer.Parse(t.command, s.place.home); ok && !t.tty() {
		t.prog.Path, t.prog.Argv, t.prog.Env = transfer.Path, transfer.Argv, transfer.Environment(t.prog.Env)
		t.kind = asciicast.KindTransfer
		if transfer.Subsystem {
			t.kind = asciicast.KindSubsystem
		}
	}
	return true
}

// environment is the copied one with what the client, the key and the
// connection add, in this order.
func (s *session) environment(t *task) []string {
	env := s.place.environ
	for _, kv := range t.env {
		env = setVariable(env, kv.Name, kv.Value)
	}
	for _, kv := range s.visitor.key.Options.Environment {
		name, value, _ := strings.Cut(kv, "=")
		env = setVariable(env, name, value)
	}
	from, at := endpoint(s.visitor.from), endpoint(s.visitor.at)
	_, port, _ := strings.Cut(at, " ")
	env = setVariable(env, "SSH_CLIENT", from+" "+port)
	env = setVariable(env, "SSH_CONNECTION", from+" "+at)
	env = setVariable(env, "CASTGATE_SESSION", s.id)
	if t.tty() {
		env = setVariable(env, "TERM", t.term)
		env = setVariable(env, "SSH_TTY", t.name)
	}
	if t.original != "" {
		env = setVariable(env, "SSH_ORIGINAL_COMMAND", t.original)
	}
	return env
}

// metadata says whether only facts are recorded: a file transfer.
func (t *task) metadata() bool {
	return !t.tty() && (t.kind == asciicast.KindTransfer || t.kind == asciicast.KindSubsystem)
}

// run runs the program to its end. The copies to the client may take longer.
func (t *task) run(s *session, rec *record.Recorder) (record.End, error) {
	if t.tty() {
		return t.onTerminal(s, rec)
	}
	return t.onPipes(s, rec)
}

func (t *task) onTerminal(s *session, rec *record.Recorder) (record.End, error) {
	ours, closeOurs, err := t.bridgeTerminal()
	if err != nil {
		return record.End{}, err
	}
	defer closeOurs()
	t.terminal.Rec, t.terminal.Input = rec, "masked"
	if s.LogPasswords {
		t.terminal.Input = "all"
	}
	t.terminal.Outer.In, t.terminal.Outer.Out = ours, ours
	return t.terminal.Run(t.prog)
}

func (t *task) onPipes(s *session, rec *record.Recorder) (record.End, error) {
	fds, err := t.bridgePipes()
	if err != nil {
		return record.End{}, err
	}
	p := &terminal.Pipes{
		Rec: rec, In: fds[0], Out: fds[1], Err: fds[2], Wake: s.wake,
		Output: !t.metadata(), Input: !t.metadata(), Facts: t.metadata(),
	}
	end, err := p.Run(t.prog)
	if t.metadata() && err == nil {
		t.facts = p.Moved()
		_ = rec.Marker(t.facts)
	}
	return end, err
}

// complain tells the person, and the recording before, why nothing runs.
func (t *task) complain(rec *record.Recorder, err error) {
	message := fmt.Appendf(nil, "castgate-once: %v\r\n", err)
	if rec.Output(message) == nil {
		_, _ = t.channel.Stderr().Write(message)
	}
}

// report tells the client how the program ended and closes the channel.
func (t *task) report(end record.End) {
	if end.Signal != 0 {
		_, _ = t.channel.SendRequest("exit-signal", false, ssh.Marshal(exitSignal{Name: signalName(end.Signal)}))
	} else {
		_, _ = t.channel.SendRequest("exit-status", false, ssh.Marshal(exitStatus{uint32(end.Status)}))
	}
	_ = t.channel.CloseWrite()
	_ = t.channel.Close()
}
