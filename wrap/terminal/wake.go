// SPDX-License-Identifier: AGPL-3.0-or-later

// Package terminal runs the program of a session and copies between it and the
// person, with everything recorded before it is shown: Terminal on a pty of its
// own, Pipes with three separate streams. One loop polls what there is to copy
// and an eventfd, the Waker, through which signals and other goroutines speak to
// it; nothing is allocated for an event. Outer is the terminal on the person's
// side, which the recorder takes for itself.
package terminal

import (
	"os"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"castgate/wrap/rawio"
)

// What a Waker can announce.
const (
	wakeChild  = 1 << iota // a child has ended (SIGCHLD)
	wakeResize             // the window has another size (SIGWINCH)
	wakeHangup             // the other side is gone (SIGHUP)
	wakeTerm               // the session shall end (SIGTERM)
	wakeSync               // the sync thread has found a failure
	wakeSignal             // signals are to be passed on
	wakeGone               // the connection is lost, and with it the session
)

// Waker tells a copy loop, through an eventfd that it polls, of what happens
// elsewhere.
type Waker struct {
	fd     int
	bits   atomic.Uint32
	sigs   atomic.Uint64
	caught atomic.Uint64 // signals of this process's own
	ours   func() bool   // asked at SIGIO whether that was for the recorder; may be nil
}

// NewWaker returns a Waker.
func NewWaker() (*Waker, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("eventfd", err)
	}
	return &Waker{fd: fd}, nil
}

// Resize tells the loop to ask for the window's size again.
func (w *Waker) Resize() { w.set(wakeResize) }

// Hangup tells the loop that the other side is gone: the session ends, with a
// terminal or without one.
func (w *Waker) Hangup() { w.set(wakeGone) }

// Sync tells the loop to ask the recorder whether it has failed.
func (w *Waker) Sync() { w.set(wakeSync) }

// Child tells the loop that a child has ended (SIGCHLD).
func (w *Waker) Child() { w.set(wakeChild) }

// Signal tells the loop to pass sig on to the program.
func (w *Waker) Signal(sig syscall.Signal) {
	w.sigs.Or(1 << uint(sig))
	w.set(wakeSignal)
}

func (w *Waker) pass(sig syscall.Signal) {
	w.sigs.Or(1 << uint(sig))
	w.note(wakeSignal)
}

// note is for the loop itself: it takes what was announced right afterwards.
func (w *Waker) note(bit uint32) { w.bits.Or(bit) }

func (w *Waker) set(bit uint32) {
	w.note(bit)
	w.ring()
}

// ring makes the eventfd readable.
func (w *Waker) ring() {
	one := [8]byte{1}
	_, _ = unix.Write(w.fd, one[:])
}

// signals returns those to pass on that were announced since the last call.
func (w *Waker) signals() []syscall.Signal { return signalsOf(w.sigs.Swap(0)) }

// signalsOf lists the signals of a set.
func signalsOf(set uint64) []syscall.Signal {
	var list []syscall.Signal
	for sig := 1; sig < 64; sig++ {
		if set&(1<<sig) != 0 {
			list = append(list, syscall.Signal(sig))
		}
	}
	return list
}

// take returns what was announced since the last call.
func (w *Waker) take() uint32 {
	var n [8]byte
	_, _ = rawio.Read(w.fd, n[:])
	w.takeCaught()
	return w.bits.Swap(0)
}
