// SPDX-License-Identifier: AGPL-3.0-or-later

package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode"

	"castgate/upload/archive/screen"
	"castgate/wrap/asciicast"
)

// Transcribe calls line with what the screen showed, see package screen. It
// returns whether the recording was torn: then what there is was transcribed.
func Transcribe(ctx context.Context, in io.Reader, line func(screen.Line)) (torn bool, err error) {
	rd, err := NewEvents(in)
	switch {
	case errors.Is(err, io.EOF):
		return false, err // an empty file is no recording
	case err != nil:
		return errors.Is(err, asciicast.ErrTorn), ended(err)
	}
	s := screen.New(rd.Header.Term.Cols, rd.Header.Term.Rows)
	s.Lines = line
	for ctx.Err() == nil {
		ev, err := rd.Next()
		if err != nil {
			s.Close()
			return errors.Is(err, asciicast.ErrTorn), ended(err)
		}
		s.Now = ev.Time
		switch ev.Code {
		case asciicast.Output:
			_, _ = s.Write(ev.Data)
		case asciicast.Resize:
			if cols, rows, ok := asciicast.ParseSize(ev.Data); ok {
				s.Resize(cols, rows)
			}
		}
	}
	return false, ctx.Err()
}

// Events reads the events of a recording as a terminal would get them. A session
// without one had nothing that makes CR LF of LF.
type Events struct {
	*asciicast.Reader
	plain bool
}

// NewEvents reads the header, as asciicast.NewReader.
func NewEvents(in io.Reader) (*Events, error) {
	rd, err := asciicast.NewReader(in)
	if err != nil {
		return nil, err
	}
	return &Events{rd, rd.Header.Session != nil && !rd.Header.Session.TTY}, nil
}

// Next returns the next event.
func (e *Events) Next() (asciicast.Event, error) {
	ev, err := e.Reader.Next()
	if e.plain && ev.Code == asciicast.Output {
		ev.Data, ev.Text = addReturns(ev.Data), addReturns(ev.Text)
	}
	return ev, err
}

func addReturns(p []byte) []byte {
	out := make([]byte, 0, len(p)+16)
	for _, b := range p {
		if b == '\n' {
			out = append(out, '\r')
		}
		out = append(out, b)
	}
	return out
}

// ended is nil for the ends that a recording may have.
func ended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, asciicast.ErrTorn) {
		return nil
	}
	return err
}

// Plain returns s for a terminal: without control characters, and with what
// hides or reorders text spelled out. Names in a manifest are as hostile as
// the recording.
func Plain(s string) string {
	plain := true
	for _, r := range s {
		if r < 0x20 || r > 0x7e {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	var b []byte
	for _, r := range s {
		if unicode.IsControl(r) {
			b = fmt.Appendf(b, "<U+%04X>", r)
			continue
		}
		b = asciicast.AppendSafe(b, r)
	}
	return string(b)
}

// Clock writes a time within a recording: 12:30, 1:02:03.
func Clock(d time.Duration) string {
	s := int64(d / time.Second)
	if s < 3600 {
		return fmt.Sprintf("%02d:%02d", s/60, s%60)
	}
	return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
}
