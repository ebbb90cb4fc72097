// SPDX-License-Identifier: AGPL-3.0-or-later

package terminal

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// Watch has signals announced to the copy loop until the recorder ends: one
// that comes while the recording is being finished must not cut it short. INT,
// QUIT and TSTP do nothing on a terminal, where the inner one makes the signals
// that the person's keys mean. ours is asked at SIGIO whether that was for the
// recorder itself.
func (w *Waker) Watch(ours func() bool) {
	w.ours = ours
	w.catch(unix.SIGCHLD, unix.SIGWINCH, unix.SIGHUP, unix.SIGTERM, unix.SIGINT, unix.SIGQUIT, unix.SIGTSTP,
		unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM, unix.SIGPIPE, unix.SIGTTIN, unix.SIGTTOU, unix.SIGIO)
}

// catch announces these signals from now on. They are caught, not ignored: an
// ignored signal stays ignored in the user's shell, and execve(2) gives a caught
// one its default back. Each has a channel of its own: package signal drops what
// a channel has no room for, and no signal may be lost for the sake of others.
func (w *Waker) catch(signals ...syscall.Signal) {
	for _, sig := range signals {
		ch := make(chan os.Signal, 1)
		signal.Notify(ch, sig)
		go func() {
			for range ch {
				w.caught.Or(1 << uint(sig))
				w.ring()
			}
		}()
	}
}

// takeCaught notes what the caught signals mean.
func (w *Waker) takeCaught() {
	for _, sig := range signalsOf(w.caught.Swap(0)) {
		w.announce(sig)
	}
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
		if w.ours == nil || !w.ours() {
			w.pass(sig)
		}
	default:
		w.pass(sig)
	}
}
