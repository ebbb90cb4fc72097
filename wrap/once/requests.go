// SPDX-License-Identifier: AGPL-3.0-or-later

package once

import (
	"net/netip"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"
)

// The payloads of RFC 4254 sections 6.2 to 6.10.
type (
	ptyRequest struct {
		Term                       string
		Cols, Rows, XPixel, YPixel uint32
		Modes                      string
	}
	windowChange struct{ Cols, Rows, XPixel, YPixel uint32 }
	envRequest   struct{ Name, Value string }
	text         struct{ Value string } // exec, subsystem, signal
	exitStatus   struct{ Status uint32 }
	exitSignal   struct {
		Name          string
		Core          bool
		Message, Lang string
	}
)

// signals are those that a client can send or be told of (RFC 4254 section 6.10).
var signals = map[string]syscall.Signal{
	"ABRT": unix.SIGABRT, "ALRM": unix.SIGALRM, "FPE": unix.SIGFPE, "HUP": unix.SIGHUP, "ILL": unix.SIGILL, "INT": unix.SIGINT,
	"KILL": unix.SIGKILL, "PIPE": unix.SIGPIPE, "QUIT": unix.SIGQUIT, "SEGV": unix.SIGSEGV, "TERM": unix.SIGTERM,
	"USR1": unix.SIGUSR1, "USR2": unix.SIGUSR2,
}

// signalName is sig as the client gets it; sshd names the others so, too.
func signalName(sig syscall.Signal) string {
	for name, s := range signals {
		if s == sig {
			return name
		}
	}
	return "SIG@openssh.com"
}

// openings answers what the client wants to open: one session, nothing else.
func (s *session) openings() {
	for c := range s.visitor.channels {
		s.mu.Lock()
		first := !s.channel
		s.mu.Unlock()
		switch {
		case c.ChannelType() != "session":
			s.logger.Warn("channel refused", s.who("type", clip(c.ChannelType()), "why", "no forwarding")...)
			_ = c.Reject(ssh.Prohibited, "castgate-once forwards nothing")
		case !first:
			s.logger.Warn("channel refused", s.who("type", "session", "why", "second session")...)
			_ = c.Reject(ssh.Prohibited, "castgate-once serves one session only")
		default:
			channel, requests, err := c.Accept()
			if err != nil {
				return // the connection is lost
			}
			s.mu.Lock()
			s.channel = true
			s.mu.Unlock()
			go s.requests(channel, requests)
		}
	}
}

// requests answers the requests of the session's channel, first those that
// prepare it, then those that come while it runs.
func (s *session) requests(channel ssh.Channel, requests <-chan *ssh.Request) {
	t := &task{channel: channel}
	running := false
	for r := range requests {
		switch {
		case running:
			answer(r, s.whileRunning(t, r))
		case r.Type == "shell" || r.Type == "exec" || r.Type == "subsystem":
			running = s.program(t, r)
			answer(r, running)
			if running {
				s.started <- t
			}
		default:
			answer(r, s.prepare(t, r))
		}
	}
	if running {
		s.wake.Hangup() // the client has closed the channel, or we have and nobody listens any more
		return
	}
	channel.Close()
	s.mu.Lock()
	s.channel = false // nothing ran in it: a subsystem that isn't here, say
	s.mu.Unlock()
}

func answer(r *ssh.Request, ok bool) {
	if r.WantReply {
		_ = r.Reply(ok, nil)
	}
}

// prepare answers what comes before the program.
func (s *session) prepare(t *task, r *ssh.Request) bool {
	switch r.Type {
	case "env":
		var env envRequest
		if ssh.Unmarshal(r.Payload, &env) != nil || !acceptEnv(env.Name) || strings.ContainsRune(env.Name+env.Value, 0) || len(t.env) == maxEnv {
			return false
		}
		t.env = append(t.env, env)
		return true
	case "pty-req":
		return s.allocate(t, r.Payload)
	case "window-change":
		return s.resize(r.Payload)
	}
	return false // auth-agent-req@openssh.com, x11-req, break
}

// maxEnv bounds the variables of a client; there are a dozen LC_ ones.
const maxEnv = 128

// whileRunning answers what comes later.
func (s *session) whileRunning(t *task, r *ssh.Request) bool {
	switch r.Type {
	case "window-change":
		ok := s.resize(r.Payload)
		s.wake.Resize()
		return ok
	case "signal":
		var name text
		if ssh.Unmarshal(r.Payload, &name) != nil || signals[name.Value] == 0 {
			return false
		}
		s.wake.Signal(signals[name.Value])
		return true
	}
	return false
}

func (s *session) resize(payload []byte) bool {
	var w windowChange
	if ssh.Unmarshal(payload, &w) != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.size = unix.Winsize{Col: cells(w.Cols), Row: cells(w.Rows), Xpixel: cells(w.XPixel), Ypixel: cells(w.YPixel)}
	return true
}

func cells(n uint32) uint16 { return uint16(min(n, 0xffff)) }

// endpoint is an address as SSH_CONNECTION has it.
func endpoint(a netip.AddrPort) string {
	return a.Addr().String() + " " + strconv.Itoa(int(a.Port()))
}
