// SPDX-License-Identifier: AGPL-3.0-or-later

package asciicast

import (
	"bytes"
	"context"
	"io"
	"time"
)

// item is an event that outlives the next call of Reader.Next.
type item struct {
	at   time.Duration
	code string
	data []byte
	end  int64 // offset behind it
	err  error // the end of the recording, or what is wrong with it
}

// source reads events ahead of the show, so that keys are answered while a
// live recording is silent.
type source struct {
	rd    *Reader
	items chan item
	quit  chan struct{}
	file  io.Closer
}

// open starts reading at a frame; the zero frame is the beginning.
func (s *show) open(at frame) error {
	file, err := s.Open()
	if err != nil {
		return err
	}
	rd, err := NewReader(file)
	if err != nil {
		file.Close()
		return err
	}
	if at.offset > 0 {
		if rd, err = resume(rd, at); err != nil {
			file.Close()
			return err
		}
	} else {
		at.cols, at.rows = Clamp(rd.Header.Term.Cols, rd.Header.Term.Rows)
	}
	s.src = &source{rd: rd, items: make(chan item), quit: make(chan struct{}), file: file}
	go s.src.read()
	s.cols, s.rows, s.pos, s.held, s.reveal = at.cols, at.rows, at.at, nil, at.reveal.Clone()
	if s.Screen != nil && (s.Keys != nil || s.Start > 0 || s.Follow) {
		s.screen = s.Screen(at.cols, at.rows)
		_, _ = s.screen.Write(at.paint)
	}
	return nil
}

// resume skips to a frame behind the header.
func resume(rd *Reader, at frame) (*Reader, error) {
	skip := at.offset - rd.offset
	if _, err := io.CopyN(io.Discard, rd.in, skip); err != nil {
		return nil, err
	}
	return &Reader{Header: rd.Header, in: rd.in, offset: at.offset, now: at.at}, nil
}

func (src *source) read() {
	defer src.file.Close()
	for {
		ev, err := src.rd.Next()
		it := item{at: ev.Time, code: ev.Code, data: bytes.Clone(ev.Data), end: src.rd.Offset(), err: err}
		select {
		case src.items <- it:
		case <-src.quit:
			return
		}
		if err != nil {
			return
		}
	}
}

// stop ends the reading. A live file is closed under its reader, which may be
// waiting for the next event for hours; others are closed by read itself.
func (src *source) stop() {
	close(src.quit)
	if live, ok := src.file.(*Tail); ok {
		_ = live.Close()
	}
}

// seek shows the moment `to`: everything before it is run through the screen,
// which is then painted.
func (s *show) seek(ctx context.Context, to time.Duration) error {
	if to < s.pos || s.held != nil && s.held.at > to {
		if err := s.rewind(to); err != nil {
			return err
		}
	}
	end := s.forward(ctx, to)
	s.due = time.Now()
	if s.held != nil && to < End {
		s.pos = max(to, s.pos)
		held := *s.held
		s.hold(held)
	}
	if s.screen != nil {
		// The terminal is first taken out of whatever it is in.
		s.out = s.filter.Restore(s.out[:0])
		s.out = append(s.out, "\x1b[!p\x1b[H\x1b[2J"...)
		if _, err := s.Out.Write(s.out); err != nil {
			return err
		}
		s.filter = Filter{Hidden: s.filter.Hidden}
		if err := s.write(s.screen.AppendPaint(nil)); err != nil {
			return err
		}
	}
	return end
}

// rewind starts reading again at the last frame before to.
func (s *show) rewind(to time.Duration) error {
	var at frame
	for _, f := range s.frames {
		if f.at <= to {
			at = f
		}
	}
	s.src.stop()
	return s.open(at)
}

// forward reads on to the first event after to, which is held.
func (s *show) forward(ctx context.Context, to time.Duration) error {
	for {
		if s.held != nil {
			if s.held.at > to {
				return nil
			}
			s.feed(s.held)
			s.held = nil
		}
		var silent <-chan time.Time
		if s.Follow {
			silent = time.After(caughtUp)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-silent:
			return nil
		case it := <-s.src.items:
			if it.err != nil {
				return it.err
			}
			s.held = &it
		}
	}
}

// Tail is a file that is still being written, for reading without end: at the
// end of what is there it waits for more, until Ended says that there will be
// none.
type Tail struct {
	File  io.ReadCloser
	Ended func() bool
}

// tailWait is how often a silent recording is looked at.
const tailWait = 100 * time.Millisecond

// Close closes the file; a Read that waits then fails.
func (t *Tail) Close() error { return t.File.Close() }

func (t *Tail) Read(p []byte) (int, error) {
	for ended := false; ; {
		n, err := t.File.Read(p)
		if n > 0 || err != io.EOF || ended {
			return n, err
		}
		// What was written before the end is read once more.
		if ended = t.Ended(); !ended {
			time.Sleep(tailWait)
		}
	}
}
