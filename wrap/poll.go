// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap

import (
	"errors"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The copy loops poll, read and write by themselves, on one goroutine, with
// descriptors that the Go runtime's poller doesn't know: waking a parked
// goroutine costs a futex and another thread for every key, and the scheduler
// takes the processor away from a goroutine that is 20 us in a system call.
// Inside a burst they use raw system calls, which the scheduler doesn't see;
// burst bounds these, so that a collector or another goroutine never waits long.
const burst = time.Millisecond

// readFD reads without telling the scheduler: fd must be non-blocking or
// have been polled.
func readFD(fd int, p []byte) (int, error) { return rawIO(unix.SYS_READ, fd, p) }

// writeFD writes without telling the scheduler.
func writeFD(fd int, p []byte) (int, error) { return rawIO(unix.SYS_WRITE, fd, p) }

func rawIO(trap uintptr, fd int, p []byte) (int, error) {
	for {
		n, _, e := unix.RawSyscall(trap, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
		switch e {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return 0, e
		}
	}
}

// wait polls: for the time of a burst out of the scheduler's sight, then for
// as long as it takes.
func wait(fds []unix.PollFd) (int, error) {
	n, err := rawPoll(fds, burst)
	if n != 0 || err != nil {
		return n, err
	}
	return blockingPoll(fds)
}

// rawPoll polls for at most d. An interruption counts as its end.
func rawPoll(fds []unix.PollFd, d time.Duration) (int, error) {
	ts := unix.NsecToTimespec(int64(d))
	n, _, e := unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(unsafe.SliceData(fds))), uintptr(len(fds)),
		uintptr(unsafe.Pointer(&ts)), 0, 0, 0)
	if e == unix.EINTR {
		return 0, nil
	}
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}

func blockingPoll(fds []unix.PollFd) (int, error) {
	for {
		n, err := unix.Ppoll(fds, nil, nil)
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

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
	fd        int
	bits      atomic.Uint32
	sigs      atomic.Uint64
	catching  bool        // it is told of the process's own signals
	guardLeft func() bool // asked at SIGIO whether that was for the recorder; may be nil
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
	_, _ = unix.Write(w.fd, one[:])
}

// signals returns those announced since the last call.
func (w *Waker) signals() []syscall.Signal {
	var list []syscall.Signal
	for set, sig := w.sigs.Swap(0), 1; sig < 64; sig++ {
		if set&(1<<sig) != 0 {
			list = append(list, syscall.Signal(sig))
		}
	}
	return list
}

// take returns what was announced since the last call.
func (w *Waker) take() uint32 {
	var n [8]byte
	_, _ = readFD(w.fd, n[:])
	w.takeCaught()
	return w.bits.Swap(0)
}
