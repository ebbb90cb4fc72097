// SPDX-License-Identifier: AGPL-3.0-or-later

package terminal

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// Watch has signals announced to the copy loop until the recorder ends: one
// that comes while the recording is being finished must not cut it short. They
// are caught, not ignored: an ignored signal stays ignored in the user's shell,
// and execve(2) gives a caught one its default back. INT, QUIT and TSTP do nothing
// on a terminal, where the inner one makes the signals that the person's keys
// mean. ours is asked at SIGIO whether that was for the recorder itself.
//
// Package signal drops what a channel has no room for. What a session can't do
// without has a channel of its own, so that no flood of others is in its way.
func (w *Waker) Watch(ours func() bool) {
	w.ours = ours
	child, size, hangup := caught(1, unix.SIGCHLD), caught(1, unix.SIGWINCH), caught(1, unix.SIGHUP)
	term, io := caught(1, unix.SIGTERM), caught(1, unix.SIGIO)
	others := caught(64, unix.SIGINT, unix.SIGQUIT, unix.SIGTSTP, unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM,
		unix.SIGPIPE, unix.SIGTTIN, unix.SIGTTOU)
	go func() {
		for {
			var sig os.Signal
			select {
			case sig = <-child:
			case sig = <-size:
			case sig = <-hangup:
			case sig = <-term:
			case sig = <-io:
			case sig = <-others:
			}
			w.caught.Or(1 << uint(sig.(syscall.Signal)))
			w.ring()
		}
	}()
}

func caught(room int, signals ...os.Signal) chan os.Signal {
	ch := make(chan os.Signal, room)
	signal.Notify(ch, signals...)
	return ch
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
