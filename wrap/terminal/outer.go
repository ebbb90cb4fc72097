// SPDX-License-Identifier: AGPL-3.0-or-later

package terminal

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// Outer is the terminal that a session is shown on: sshd's pty, or the channel
// of castgate-once's own server.
type Outer struct {
	In, Out int           // descriptors; the loop makes them non-blocking
	TTY     bool          // In is a terminal: its end is a hang-up, not an end of input
	Signals bool          // pass on what Wake.Signal announces; signals of the recorder's own are its own
	Modes   *unix.Termios // for the inner terminal; nil for the kernel's defaults
	Size    func() (*unix.Winsize, error)
	Wake    *Waker
}

// Standard is the terminal that this process was started on.
func Standard(wake *Waker) (o Outer, done func(), err error) {
	modes, err := unix.IoctlGetTermios(0, unix.TCGETS)
	if err != nil {
		return o, nil, fmt.Errorf("ask for the terminal's modes: %w", err)
	}
	in, out, done := reopened()
	return Outer{In: in, Out: out, TTY: true, Modes: modes, Size: WindowSize, Wake: wake}, done, nil
}

// lineDiscipline is N_TTY, the kernel's for people (tty_ldisc.h).
const lineDiscipline = 0

// IsTerminal says whether fd is one, whatever has been done to it: under another
// line discipline, which anybody may set who has it open, it says itself that it
// is none. It gets its own back.
func IsTerminal(fd int) bool {
	now, err := unix.IoctlGetInt(fd, unix.TIOCGETD)
	if err == nil && now != lineDiscipline {
		_ = unix.IoctlSetPointerInt(fd, unix.TIOCSETD, lineDiscipline)
	}
	return err == nil
}

// WindowSize is that of the terminal that this process was started on.
func WindowSize() (*unix.Winsize, error) { return unix.IoctlGetWinsize(0, unix.TIOCGWINSZ) }

// reopened opens sshd's pty anew: the non-blocking flag belongs to the
// open file, and the one we were given is shared with whoever started us. Where
// that can't be, ours is used and its flags are put back at the end.
func reopened() (in, out int, done func()) {
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

// Take puts the outer terminal into raw mode and makes it exclusive:
// the user owns that pty and could open it by name and talk past the recorder.
func (o Outer) Take() (restore func(), err error) {
	fd := o.In
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

// withTTOUBlocked runs f so that a recorder in a background process group may
// set fd's modes: with SIGTTOU blocked in this thread. It must not be ignored
// instead, for the user's shell would inherit that. sshd starts the recorder in
// the foreground, where nothing needs to be done.
func withTTOUBlocked(fd int, f func() error) error {
	if group, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP); err == nil && group == unix.Getpgrp() {
		return f()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var set, old unix.Sigset_t
	set.Val[0] = 1 << (uint(unix.SIGTTOU) - 1)
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &set, &old); err != nil {
		return err
	}
	defer func() { _ = unix.PthreadSigmask(unix.SIG_SETMASK, &old, nil) }()
	return f()
}
