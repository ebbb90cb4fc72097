// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// watch turns signals into announcements for the copy loop. INT, QUIT and TSTP
// are caught, not ignored: an ignored signal stays ignored in the user's shell.
// Caught ones do nothing on a terminal, where the inner one makes the signals
// that the person's keys mean.
func (s *session) watch() (stop func()) {
	if s.wake == nil { // only when an eventfd could not be had: nothing will run
		return func() {}
	}
	ch := make(chan os.Signal, 16)
	signal.Notify(ch, unix.SIGCHLD, unix.SIGWINCH, unix.SIGHUP, unix.SIGTERM, unix.SIGINT, unix.SIGQUIT, unix.SIGTSTP,
		unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM, unix.SIGPIPE, unix.SIGTTIN, unix.SIGTTOU, unix.SIGIO)
	go func() {
		for sig := range ch {
			if sig == unix.SIGIO && s.guardLeft() {
				continue
			}
			s.wake.announce(sig.(syscall.Signal))
		}
	}()
	return func() {
		signal.Stop(ch)
		close(ch)
	}
}

func (w *Waker) announce(sig syscall.Signal) {
	switch sig {
	case unix.SIGCHLD:
		w.set(wakeChild)
	case unix.SIGWINCH:
		w.set(wakeResize)
	case unix.SIGPIPE: // a write says it better
	case unix.SIGHUP, unix.SIGTTIN, unix.SIGTTOU: // in the background of a shell there is nobody to record
		w.Signal(sig)
		w.set(wakeHangup)
	case unix.SIGTERM:
		w.Signal(sig)
		w.set(wakeTerm)
	default:
		w.Signal(sig)
	}
}
