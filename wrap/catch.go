// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap

import (
	"sync/atomic"
	"syscall"
)

// Package os/signal hands every signal that is asked for to a thread and back
// before it goes on (runtime, ensureSigM), and keeps a thread and two
// goroutines for as long as the process lives: half a millisecond of each
// login, and memory in each idle session. So the recorder has a handler of its
// own, of a few instructions, where castgate is built for: it leaves a mark for
// the signal and wakes the loop through its eventfd.

// lastSignal is the highest number of a signal, SIGRTMAX.
const lastSignal = 64

var (
	caught   [lastSignal + 1]uint32 // by signal: 1 when it came; the handler's
	caughtFD int32                  // the eventfd of the Waker that is told; the handler's
)

// one is what is added to an eventfd; the handler's, too.
var one = [8]byte{1}

// Catch announces these signals from now on, to this Waker only. They are
// caught, not ignored: an ignored signal stays ignored in the user's shell,
// and execve(2) gives a caught one its default back.
func (w *Waker) Catch(signals ...syscall.Signal) error {
	atomic.StoreInt32(&caughtFD, int32(w.fd))
	w.catching = true
	return catch(signals)
}

// takeCaught notes what the handler has left a mark for.
func (w *Waker) takeCaught() {
	if !w.catching {
		return
	}
	for sig := range caught {
		if atomic.LoadUint32(&caught[sig]) != 0 {
			atomic.StoreUint32(&caught[sig], 0)
			w.announce(syscall.Signal(sig))
		}
	}
}
