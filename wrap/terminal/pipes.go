// SPDX-License-Identifier: AGPL-3.0-or-later

package terminal

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"castgate/wrap/rawio"
	"castgate/wrap/record"
)

// Pipes runs a program without a terminal: standard input, output and error
// are separate, binary clean, and end one by one.
type Pipes struct {
	Rec      *record.Recorder
	In       int // descriptors of sshd's
	Out, Err int
	Wake     *Waker

	Output      bool  // record what it writes
	Input       bool  // record what it reads
	OutputLimit int64 // recorded bytes of output; 0 for no limit
	Facts       bool  // a transfer: count and hash each direction

	recorded int64
	flows    [3]*flow
	restore  []int // descriptors that were blocking
}

// pipeBuf is a pipe's capacity (pipe(7)).
const pipeBuf = 64 << 10

// Run runs p to its end and until both outputs have ended: as with plain sshd,
// what a background process still writes belongs to the session.
func (s *Pipes) Run(p Program) (record.End, error) {
	theirs, err := s.open()
	if err != nil {
		return record.End{}, err
	}
	defer s.reset()
	attr := p.Attr
	attr.Setsid = true // as sshd does for a session without a terminal
	c, err := p.start(theirs, &attr)
	for _, fd := range theirs {
		unix.Close(fd)
	}
	if err != nil {
		for _, f := range s.flows {
			f.abandon()
		}
		return record.End{}, err
	}
	lost := s.copy(c)
	if lost != nil {
		s.stop(c)
	}
	return c.end, lost
}

// open makes the program's pipes and the flows.
func (s *Pipes) open() (theirs [3]int, err error) {
	var in, out, errs [2]int
	for _, p := range []*[2]int{&in, &out, &errs} {
		if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
			return theirs, os.NewSyscallError("pipe2", err)
		}
	}
	s.flows = [3]*flow{
		{src: s.In, dst: in[1], record: s.typed},
		{src: out[0], dst: s.Out, record: s.written},
		{src: errs[0], dst: s.Err, record: s.shown},
	}
	for i, f := range s.flows {
		f.buf = make([]byte, pipeBuf)
		if s.Facts && i < 2 {
			f.sum = sha256.New()
		}
		for _, fd := range []int{f.src, f.dst} {
			if err := s.nonblocking(fd); err != nil {
				return theirs, err
			}
		}
	}
	return [3]int{in[0], out[1], errs[1]}, nil
}

// nonblocking sets the flag on what can block. A regular file can't, and a
// terminal is shared with whoever ran us by hand.
func (s *Pipes) nonblocking(fd int) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return os.NewSyscallError("fstat", err)
	}
	if kind := st.Mode & unix.S_IFMT; kind != unix.S_IFIFO && kind != unix.S_IFSOCK {
		return nil
	}
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil || flags&unix.O_NONBLOCK != 0 {
		return err
	}
	if fd <= 2 {
		s.restore = append(s.restore, fd)
	}
	return unix.SetNonblock(fd, true)
}

func (s *Pipes) reset() {
	for _, fd := range s.restore {
		_ = unix.SetNonblock(fd, false)
	}
	for _, f := range s.flows {
		f.close()
	}
}

func (s *Pipes) typed(p []byte) error {
	if !s.Input {
		return nil
	}
	return s.Rec.Input(p)
}

func (s *Pipes) written(p []byte) error {
	if !s.Output {
		return s.Rec.Check()
	}
	return s.shown(p)
}

// shown records output up to the limit. Past it the session ends or goes on
// unrecorded as policy says: a limit that nobody notices would be a way out.
func (s *Pipes) shown(p []byte) error {
	if s.OutputLimit > 0 && s.recorded+int64(len(p)) > s.OutputLimit {
		if s.Rec.Err() == nil {
			s.Rec.Fail(fmt.Errorf("limits.command_output: %w", record.ErrLimit))
		}
		return s.Rec.Refused()
	}
	s.recorded += int64(len(p))
	return s.Rec.Output(p)
}

// copy moves bytes until the program and both its outputs have ended.
func (s *Pipes) copy(c *child) error {
	c.reap()
	for !c.end.Ended || !s.flows[1].ended || !s.flows[2].ended {
		fds := make([]unix.PollFd, 0, 7)
		fds = append(fds, unix.PollFd{Fd: int32(s.Wake.fd), Events: unix.POLLIN})
		for _, f := range s.flows {
			src, dst := f.interest()
			fds = append(fds, src, dst)
		}
		if _, err := rawio.Wait(fds); err != nil {
			return fmt.Errorf("poll: %w", err)
		}
		if fds[0].Revents != 0 {
			bits := s.Wake.take()
			if bits&wakeChild != 0 {
				c.reap()
			}
			if bits&wakeSync != 0 && s.Rec.Check() != nil {
				return s.Rec.Err()
			}
			s.forward(c, s.Wake.signals())
			if bits&wakeGone != 0 {
				c.end.Hangup = true
				s.stop(c)
				return nil
			}
		}
		for i, f := range s.flows {
			if err := f.move(fds[1+2*i].Revents, fds[2+2*i].Revents); err != nil {
				return err
			}
		}
	}
	return nil
}

// forward passes on what the client asked sshd to send (RFC 4254 section 6.9):
// sshd signals the process group it knows, which is the recorder's.
func (s *Pipes) forward(c *child, signals []syscall.Signal) {
	for _, sig := range signals {
		if !c.end.Ended {
			_ = unix.Kill(-c.pid, sig)
		}
	}
}

// stop ends a program whose session may not go on, with its process group.
func (s *Pipes) stop(c *child) {
	for _, f := range s.flows {
		f.close()
	}
	_ = unix.Kill(-c.pid, unix.SIGHUP)
	c.await(s.Wake)
	if !c.end.Ended {
		_ = unix.Kill(-c.pid, unix.SIGKILL)
		c.await(s.Wake)
	}
}

// Moved says what a transfer moved, for a marker and the log.
func (s *Pipes) Moved() string {
	in, out := s.flows[0], s.flows[1]
	return fmt.Sprintf("transfer: in=%d sha256-in=%s out=%d sha256-out=%s",
		in.bytes, hex.EncodeToString(in.sum.Sum(nil)), out.bytes, hex.EncodeToString(out.sum.Sum(nil)))
}
