// SPDX-License-Identifier: AGPL-3.0-or-later

// Package record writes the recording of one session, for castgate-wrap and
// castgate-once alike: the header with what is known of the session, an event for
// all that is shown or kept of the input, and how the session ended. An event is
// in the file when the method that records it returns, so whoever shows bytes
// afterwards shows nothing unrecorded; within a second it is on the disk. When
// recording fails, every method says so, unless policy lets the session go on.
package record

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"castgate/wrap/asciicast"
	"castgate/wrap/rawio"
)

// ErrLimit says that a recording has reached its size limit.
var ErrLimit = errors.New("the recording has reached its size limit")

// ErrFull says that the spool has less free space than wrap.yaml keeps.
var ErrFull = errors.New("the spool is full")

// Recorder writes the events of one session. Everything passes through it
// before it is shown: when Output returns nil, the bytes are in the file, or
// policy lets the session go on without.
type Recorder struct {
	FD     int          // opened O_APPEND; the caller closes it
	Start  time.Time    // of the session
	Limit  int64        // bytes of the file; 0 for no limit
	Allow  bool         // go on unrecorded when recording fails
	OnLoss func(error)  // told once, when recording has failed
	Wake   func()       // called from the sync thread when it has found a failure
	Full   func() error // asked after each sync whether there is still room; may be nil
	Raw    bool         // only what is shown, without times: castgate-once's raw log

	echoed  bool  // what is typed is shown, so that a raw log has it already
	base    int64 // bytes that were in the file before
	enc     asciicast.Encoder
	buf     []byte
	written int64
	events  int64
	shown   int64
	err     error // recording has failed

	sync syncer
}

// bufSize holds one read of a pty, 4 KiB, of nothing but what JSON escapes with
// six letters, and what is around it.
const bufSize = 6*(4<<10) + 1<<10

// Begin writes the header and makes it durable.
func (r *Recorder) Begin(h asciicast.Header) error {
	r.buf = make([]byte, 0, bufSize)
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
	if !r.Raw {
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
	if r.Raw {
		return r.event(append(r.buf[:0], p...))
	}
	return r.event(r.enc.AppendOutput(r.buf[:0], time.Since(r.Start), p))
}

// Input records what the person has typed.
func (r *Recorder) Input(p []byte) error {
	switch {
	case r.Raw && r.echoed:
		return nil
	case r.Raw:
		return r.event(append(r.buf[:0], p...))
	}
	return r.event(r.enc.AppendInput(r.buf[:0], time.Since(r.Start), p))
}

// Resize records a change of the window's size.
func (r *Recorder) Resize(cols, rows int) error {
	if r.Raw {
		return nil
	}
	return r.event(r.enc.AppendResize(r.buf[:0], time.Since(r.Start), cols, rows))
}

// Marker records a fact about the session.
func (r *Recorder) Marker(label string) error {
	if r.Raw {
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
		return r.Refused()
	}
	if r.Limit > 0 && r.written+int64(len(line)) > r.Limit {
		r.Fail(ErrLimit)
		return r.Refused()
	}
	if err := r.write(line); err != nil {
		r.Fail(fmt.Errorf("write to the recording: %w", err))
		return r.Refused()
	}
	r.events++
	r.sync.written(r.FD, r.Full, r.Wake)
	return nil
}

// Check takes what the sync thread has found. An error means that the session
// must end.
func (r *Recorder) Check() error {
	if found := r.sync.failure.Load(); found != nil && r.err == nil {
		r.Fail(*found)
	}
	return r.Refused()
}

// Refused is why the session must end, nil when it may go on.
func (r *Recorder) Refused() error {
	if r.Allow {
		return nil
	}
	return r.err
}

// Fail ends recording: a marker says why if it still fits.
func (r *Recorder) Fail(err error) {
	r.err = err
	if r.OnLoss != nil {
		r.OnLoss(err)
	}
	if !r.Raw {
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
		n, err := rawio.Write(r.FD, p[done:])
		if err == nil {
			done += n
			continue
		}
		if errors.Is(err, unix.EAGAIN) { // a pipe, castgate-once's log
			_, _ = rawio.Block([]unix.PollFd{{Fd: int32(r.FD), Events: unix.POLLOUT}})
			continue
		}
		if done > 0 {
			r.cutTorn(int64(done))
		}
		return err
	}
	r.written += int64(done)
	return nil
}

// cutTorn takes the start of a line back. Not where others write to the file,
// too: castgate-once's log may be a standard output that its messages share.
func (r *Recorder) cutTorn(n int64) {
	var st unix.Stat_t
	if unix.Fstat(r.FD, &st) == nil && st.Size == r.base+r.written+n {
		_ = unix.Ftruncate(r.FD, st.Size-n)
		_, _ = unix.Seek(r.FD, st.Size-n, 0) // where it isn't O_APPEND
	}
}

// Finish writes how the session ended, with the reason where it was hung up, and
// syncs the file.
func (r *Recorder) Finish(end End, reason string) error {
	if end.Hangup {
		_ = r.Marker(reason)
	}
	switch {
	case r.Raw:
	case r.err != nil:
		_ = r.write(r.enc.AppendExit(r.buf[:0], time.Since(r.Start), end.Status))
	default:
		line := r.enc.Flush(r.buf[:0], time.Since(r.Start))
		if err := r.write(r.enc.AppendExit(line, time.Since(r.Start), end.Status)); err != nil {
			r.Fail(fmt.Errorf("write the end of the recording: %w", err))
		}
		r.events++
	}
	if err := fsync(r.FD, unix.Fsync); err != nil && r.err == nil {
		r.err = fmt.Errorf("sync the recording: %w", err)
	}
	return r.err
}

// Without says that the session goes on without a recording.
func (r *Recorder) Without(err error) { r.FD, r.err = -1, err }

// Outcome is what the log says of the session's end; facts are of a transfer.
func (r *Recorder) Outcome(end End, facts string) []any {
	lost := ""
	if r.err != nil {
		lost = r.err.Error()
	}
	return []any{
		"status", end.Status, "hangup", end.Hangup, "seconds", int(time.Since(r.Start).Seconds()),
		"shown", r.shown, "events", r.events, "bytes", r.written, "transfer", facts, "lost", lost,
	}
}
