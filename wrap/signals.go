// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// watch has signals announced to the copy loop until the recorder ends: one
// that comes while the recording is being finished must not cut it short. INT,
// QUIT and TSTP do nothing on a terminal, where the inner one makes the signals
// that the person's keys mean.
func (s *session) watch() error {
	if s.wake == nil { // only when an eventfd could not be had: nothing will run
		return nil
	}
	s.wake.guardLeft = s.guardLeft
	return s.wake.Catch(unix.SIGCHLD, unix.SIGWINCH, unix.SIGHUP, unix.SIGTERM, unix.SIGINT, unix.SIGQUIT, unix.SIGTSTP,
		unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM, unix.SIGPIPE, unix.SIGTTIN, unix.SIGTTOU, unix.SIGIO)
}

// announce notes what a signal means.
func (w *Waker) announce(sig syscall.Signal) {
	switch sig {
	case unix.SIGCHLD:
		w.note(wakeChild)
	case unix.SIGWINCH:
		w.note(wakeResize)
	case unix.SIGPIPE: // a write says it better
	case unix.SIGHUP, unix.SIGTTIN, unix.SIGTTOU: // in the background of a shell there is nobody to record
		w.pass(sig)
		w.note(wakeHangup)
	case unix.SIGTERM:
		w.pass(sig)
		w.note(wakeTerm)
	case unix.SIGIO:
		if w.guardLeft == nil || !w.guardLeft() {
			w.pass(sig)
		}
	default:
		w.pass(sig)
	}
}
