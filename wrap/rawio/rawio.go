// SPDX-License-Identifier: AGPL-3.0-or-later

// Package rawio reads, writes and polls descriptors that the Go runtime's poller
// doesn't know. A copy loop does all three by itself, on one goroutine: waking a
// parked goroutine costs a futex and another thread for every key, and the
// scheduler takes the processor away from a goroutine that is 20 us in a system
// call. Within a burst the calls are raw ones, which the scheduler doesn't see;
// burst bounds these, so that a collector or another goroutine never waits long.
package rawio

import (
	"errors"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// burst is longer than the pauses of a program that is writing, and short enough
// for everything else that wants to run.
const burst = time.Millisecond

// Read reads without telling the scheduler: fd must be non-blocking or
// have been polled.
func Read(fd int, p []byte) (int, error) { return call(unix.SYS_READ, fd, p) }

// Write writes without telling the scheduler.
func Write(fd int, p []byte) (int, error) { return call(unix.SYS_WRITE, fd, p) }

func call(trap uintptr, fd int, p []byte) (int, error) {
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

// Wait polls: for the time of a burst out of the scheduler's sight, then for
// as long as it takes.
func Wait(fds []unix.PollFd) (int, error) {
	n, err := Poll(fds, burst)
	if n != 0 || err != nil {
		return n, err
	}
	return Block(fds)
}

// Poll polls for at most d. An interruption counts as its end.
func Poll(fds []unix.PollFd, d time.Duration) (int, error) {
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

// Block polls for as long as it takes.
func Block(fds []unix.PollFd) (int, error) {
	for {
		n, err := unix.Ppoll(fds, nil, nil)
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}
