// SPDX-License-Identifier: AGPL-3.0-or-later

package terminal

import (
	"errors"
	"hash"

	"golang.org/x/sys/unix"

	"castgate/wrap/rawio"
)

// flow copies from src to dst. A chunk is recorded before dst gets it.
type flow struct {
	src, dst int
	record   func([]byte) error
	buf      []byte
	pending  []byte
	bytes    int64
	sum      hash.Hash
	ended    bool
	closed   bool
}

// interest says what a flow waits for: room for what it holds, else bytes; and
// always whether its reader is gone.
func (f *flow) interest() (src, dst unix.PollFd) {
	src, dst = unix.PollFd{Fd: -1}, unix.PollFd{Fd: -1}
	if f.ended {
		return src, dst
	}
	dst.Fd = int32(f.dst)
	if len(f.pending) > 0 {
		dst.Events = unix.POLLOUT
		return src, dst
	}
	src.Fd, src.Events = int32(f.src), unix.POLLIN
	return src, dst
}

// move takes one step. Its error is the recorder's: the session must end.
func (f *flow) move(src, dst int16) error {
	if f.ended {
		return nil
	}
	if dst&(unix.POLLERR|unix.POLLNVAL) != 0 {
		f.close() // nobody reads: the writer shall get its SIGPIPE
		return nil
	}
	if dst&unix.POLLOUT != 0 {
		f.flush()
	}
	if len(f.pending) > 0 || src == 0 {
		return nil
	}
	n, err := rawio.Read(f.src, f.buf)
	if errors.Is(err, unix.EAGAIN) {
		return nil
	}
	if err != nil || n == 0 {
		f.close()
		return nil
	}
	p := f.buf[:n]
	if err := f.record(p); err != nil {
		return err
	}
	f.bytes += int64(n)
	if f.sum != nil {
		f.sum.Write(p)
	}
	f.pending = p
	f.flush()
	return nil
}

func (f *flow) flush() {
	for len(f.pending) > 0 {
		n, err := rawio.Write(f.dst, f.pending)
		if errors.Is(err, unix.EAGAIN) {
			return
		}
		if err != nil {
			f.close()
			return
		}
		f.pending = f.pending[n:]
	}
}

// close ends the flow on both sides, so that a half-close travels on.
func (f *flow) close() {
	f.ended, f.pending = true, nil
	if f.closed {
		return
	}
	f.closed = true
	release(f.src)
	release(f.dst)
}

// abandon ends a flow that has not begun. The process's own standard streams stay
// open: somebody will be told there why nothing runs.
func (f *flow) abandon() {
	f.ended, f.closed = true, true
	for _, fd := range []int{f.src, f.dst} {
		if fd > 2 {
			unix.Close(fd)
		}
	}
}

// release closes fd. The numbers 0 to 2 stay taken, so that no file opened
// later is mistaken for a standard stream.
func release(fd int) {
	if fd > 2 {
		unix.Close(fd)
		return
	}
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		unix.Close(fd)
		return
	}
	_ = unix.Dup3(null, fd, 0)
	unix.Close(null)
}
