// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"castgate/wrap/asciicast"
)

// syncEvery is how long written data may wait for fdatasync(2). With the time
// that the sync itself takes it keeps the promise of one second.
const syncEvery = 500 * time.Millisecond

// ErrLimit says that a recording has reached its size limit.
var ErrLimit = errors.New("the recording has reached its size limit")

// ErrFull says that the spool has less free space than wrap.yaml keeps.
var ErrFull = errors.New("the spool is full")

// Recorder writes the events of one session. Everything passes through it
// before it is shown: when Output returns nil, the bytes are in the file, or
// policy lets the session go on without.
type Recorder struct {
	FD     int                 // opened O_APPEND; the caller closes it
	Start  time.Time           // of the session
	Limit  int64               // bytes of the file; 0 for no limit
	Allow  bool                // go on unrecorded when recording fails
	OnLoss func(error)         // told once, when recording has failed
	Wake   func()              // called from the sync thread when it has found a failure
	Full   func() error        // asked after each sync whether there is still room; may be nil
	Plain  func([]byte) []byte // instead of asciicast: for castgate-once's raw log; may be nil

	echoed  bool  // what is typed is shown, so that a plain log has it already
	base    int64 // bytes that were in the file before
	enc     asciicast.Encoder
	buf     []byte
	written int64
	events  int64
	shown   int64
	err     error // recording has failed

	kick   chan struct{}
	dirty  atomic.Bool
	synced atomic.Pointer[error] // what the sync thread found
}

// Begin writes the header and makes it durable.
func (r *Recorder) Begin(h asciicast.Header) error {
	r.buf = make([]byte, 0, 6*readSize+1<<10) // one read of nothing but escapes, and what is around it
	var st unix.Stat_t
	if err := unix.Fstat(r.FD, &st); err != nil {
		return os.NewSyscallError("fstat", err)
	}
	r.base = st.Size
	if err := r.write(r.header(h)); err != nil {
		return fmt.Errorf("write the header: %w", err)
	}
	if err := fsync(r.FD, unix.Fsync); err != nil {
		return fmt.Errorf("sync the header: %w", err)
	}
	return nil
}

func (r *Recorder) header(h asciicast.Header) []byte {
	if r.Plain == nil {
		return asciicast.AppendHeader(r.buf, h)
	}
	r.echoed = h.Session != nil && h.Session.TTY
	if h.Command == "" {
		return nil
	}
	return append(r.buf, "$ "+h.Command+"\n"...)
}

// Output records what the session has written. An error means that the session
// must end and that p must not be shown.
func (r *Recorder) Output(p []byte) error {
	r.shown += int64(len(p))
	if r.Plain != nil {
		return r.event(append(r.buf[:0], r.Plain(p)...))
	}
	return r.event(r.enc.AppendOutput(r.buf[:0], time.Since(r.Start), p))
}

// Input records what the person has typed.
func (r *Recorder) Input(p []byte) error {
	switch {
	case r.Plain != nil && r.echoed:
		return nil
	case r.Plain != nil:
		return r.event(append(r.buf[:0], r.Plain(p)...))
	}
	return r.event(r.enc.AppendInput(r.buf[:0], time.Since(r.Start), p))
}

// Resize records a change of the window's size.
func (r *Recorder) Resize(cols, rows int) error {
	if r.Plain != nil {
		return nil
	}
	return r.event(r.enc.AppendResize(r.buf[:0], time.Since(r.Start), cols, rows))
}

// Marker records a fact about the session.
func (r *Recorder) Marker(label string) error {
	if r.Plain != nil {
		return r.event(append(r.buf[:0], "\r\n["+label+"]\r\n"...))
	}
	return r.event(r.enc.AppendMarker(r.buf[:0], time.Since(r.Start), label))
}

// Err is why recording has failed, nil when it has not.
func (r *Recorder) Err() error { return r.err }

// Counts returns the bytes shown, the events and the bytes in the file.
func (r *Recorder) Counts() (shown, events, file int64) { return r.shown, r.events, r.written }

// event writes one event's lines with one write(2).
func (r *Recorder) event(line []byte) error {
	if cap(line) > cap(r.buf) {
		r.buf = line[:0]
	}
	if r.err == nil {
		_ = r.Check()
	}
	if r.err != nil {
		return r.verdict()
	}
	if r.Limit > 0 && r.written+int64(len(line)) > r.Limit {
		r.lose(ErrLimit)
		return r.verdict()
	}
	if err := r.write(line); err != nil {
		r.lose(fmt.Errorf("write to the recording: %w", err))
		return r.verdict()
	}
	r.events++
	if !r.dirty.Load() {
		r.dirty.Store(true)
		r.sync()
	}
	return nil
}

// Check takes what the sync thread has found. An error means that the session
// must end.
func (r *Recorder) Check() error {
	if found := r.synced.Load(); found != nil && r.err == nil {
		r.lose(*found)
	}
	return r.verdict()
}

func (r *Recorder) verdict() error {
	if r.Allow {
		return nil
	}
	return r.err
}

// lose ends recording: the torn line goes, and a marker says why if it still fits.
func (r *Recorder) lose(err error) {
	r.err = err
	if r.OnLoss != nil {
		r.OnLoss(err)
	}
	if r.Plain == nil {
		_ = r.write(r.enc.AppendMarker(r.buf[:0], time.Since(r.Start), "recording stopped: "+plainCause(err)))
	}
}

// plainCause is the cause without the paths of this host.
func plainCause(err error) string {
	for _, known := range []error{ErrLimit, ErrFull, unix.ENOSPC, unix.EDQUOT, unix.EIO, unix.EFBIG} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return "the recording can't be written"
}

// write appends p whole, or not at all.
func (r *Recorder) write(p []byte) error {
	done := 0
	for done < len(p) {
		n, err := writeFD(r.FD, p[done:])
		if err == nil {
			done += n
			continue
		}
		if errors.Is(err, unix.EAGAIN) { // a pipe, castgate-once's log
			_, _ = blockingPoll([]unix.PollFd{{Fd: int32(r.FD), Events: unix.POLLOUT}})
			continue
		}
		if done > 0 {
			r.untear(int64(done))
		}
		return err
	}
	r.written += int64(done)
	return nil
}

// untear takes the start of a line back. Not where others write to the file,
// too: castgate-once's log may be a standard output that its messages share.
func (r *Recorder) untear(n int64) {
	var st unix.Stat_t
	if unix.Fstat(r.FD, &st) == nil && st.Size == r.base+r.written+n {
		_ = unix.Ftruncate(r.FD, st.Size-n)
		_, _ = unix.Seek(r.FD, st.Size-n, 0) // where it isn't O_APPEND
	}
}

// sync asks for a sync; the first event finds nobody to ask.
func (r *Recorder) sync() {
	if r.kick == nil {
		r.kick = make(chan struct{}, 1)
		go r.syncLoop()
	}
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

// syncLoop makes what was written durable, in a thread of its own: nothing that
// happens on a disk is felt at the keyboard.
func (r *Recorder) syncLoop() {
	for range r.kick {
		time.Sleep(syncEvery)
		r.dirty.Store(false)
		err := fsync(r.FD, unix.Fdatasync)
		if err != nil {
			err = fmt.Errorf("sync the recording: %w", err)
		} else if r.Full != nil {
			err = r.Full()
		}
		if err != nil {
			r.found(err)
			return
		}
		if !settled.Swap(true) {
			settle()
		}
	}
}

// found leaves a failure for the copy loop, in a function of its own: there a
// session that syncs for weeks allocates nothing for the failure it never has.
func (r *Recorder) found(err error) {
	r.synced.Store(&err)
	if r.Wake != nil {
		r.Wake()
	}
}

// fsync ignores what can't be synced: a pipe, a socket.
func fsync(fd int, how func(int) error) error {
	for {
		err := how(fd)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EINVAL), errors.Is(err, unix.EROFS), errors.Is(err, unix.ENOTSUP):
			return nil
		}
		return err
	}
}

// Finish writes the last event and syncs the file.
func (r *Recorder) Finish(status int) error {
	if r.Plain == nil && r.err == nil {
		line := r.enc.Flush(r.buf[:0], time.Since(r.Start))
		line = r.enc.AppendExit(line, time.Since(r.Start), status)
		if err := r.write(line); err != nil {
			r.lose(fmt.Errorf("write the end of the recording: %w", err))
		}
		r.events++
	} else if r.Plain == nil {
		_ = r.write(r.enc.AppendExit(r.buf[:0], time.Since(r.Start), status))
	}
	if err := fsync(r.FD, unix.Fsync); err != nil && r.err == nil {
		r.err = fmt.Errorf("sync the recording: %w", err)
	}
	return r.err
}
