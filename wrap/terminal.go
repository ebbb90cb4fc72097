// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// onTerminal runs the session between sshd's pty and one of its own.
func (s *session) onTerminal() (End, error) {
	modes, err := unix.IoctlGetTermios(0, unix.TCGETS)
	if err != nil {
		return End{}, fmt.Errorf("ask for the terminal's modes: %w", err)
	}
	in, out, closeOuter := outerTerminal()
	defer closeOuter()
	t := &Terminal{
		Rec: s.rec, Input: s.policy.Record.Input, Typed: s.typed,
		Outer: Outer{In: in, Out: out, TTY: true, Modes: modes, Size: outerSize, Wake: s.wake},
	}
	name, err := t.Open()
	if err != nil {
		return End{}, err
	}
	restore, err := takeTerminal(in)
	if err != nil {
		return End{}, err
	}
	defer restore()
	if s.policy.Notice != "" {
		notice := []byte(s.policy.Notice + "\r\n")
		if err := s.rec.Output(notice); err != nil {
			return End{}, err
		}
		_, _ = unix.Write(out, notice)
	}
	s.command.Env = s.environment(name)
	return t.Run(s.command)
}

// outerTerminal opens sshd's pty anew: the non-blocking flag belongs to the
// open file, and the one we were given is shared with whoever started us. Where
// that can't be, ours is used and its flags are put back at the end.
func outerTerminal() (in, out int, done func()) {
	fd, err := unix.Open("/proc/self/fd/0", unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err == nil && sameFile(fd, 0) && sameFile(fd, 1) {
		return fd, fd, func() { unix.Close(fd) }
	}
	if err == nil {
		unix.Close(fd)
	}
	return 0, 1, func() {
		_ = unix.SetNonblock(0, false)
		_ = unix.SetNonblock(1, false)
	}
}

func sameFile(a, b int) bool {
	var x, y unix.Stat_t
	return unix.Fstat(a, &x) == nil && unix.Fstat(b, &y) == nil && x.Dev == y.Dev && x.Ino == y.Ino && x.Rdev == y.Rdev
}

// takeTerminal puts the outer terminal into raw mode and makes it exclusive:
// the user owns that pty and could open it by name and talk past the recorder.
func takeTerminal(fd int) (restore func(), err error) {
	var old *term.State
	err = withTTOUBlocked(fd, func() (err error) {
		old, err = term.MakeRaw(fd)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("set the terminal to raw mode: %w", err)
	}
	if err := unix.IoctlSetInt(fd, unix.TIOCEXCL, 0); err != nil {
		return nil, fmt.Errorf("make the terminal exclusive: %w", err)
	}
	return func() {
		// sshd's terminal stays exclusive: until the recorder has ended it is the
		// person's screen, and its session leader's end hangs it up. Another's is
		// used on.
		if sid, err := unix.Getsid(0); err != nil || sid != os.Getpid() {
			_ = unix.IoctlSetInt(fd, unix.TIOCNXCL, 0)
		}
		_ = withTTOUBlocked(fd, func() error { return term.Restore(fd, old) })
	}, nil
}
