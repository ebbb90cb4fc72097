// SPDX-License-Identifier: AGPL-3.0-or-later

package asciicast

import (
	"context"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

// Player shows a recording. With Speed it waits between events as the session
// did; without, it writes everything at once.
type Player struct {
	Open   func() (io.ReadCloser, error) // the recording from its start; called again to go back
	Out    io.Writer                     //
	Screen func(cols, rows int) Screen   // for seeking: nil when there are no Keys and no Start
	Keys   <-chan Action                 // nil: no controls
	Speed  float64                       // 0: never wait
	Idle   time.Duration                 // longest wait, in recorded time; 0 is what the header says
	Start  time.Duration                 // show from here on
	Follow bool                          // the recording is still being written: start at its end
	Raw    bool                          // no Filter
	Tidy   bool                          // Out is a terminal: leave it as it was found
	Reveal bool                          // show control strings as text

	Hidden int // set by Play: lines of text that went away with control strings
}

// Screen is a terminal emulator: what has been written to it can be painted
// anew, with sequences that a Filter passes, on any terminal of its size.
type Screen interface {
	Write(p []byte) (int, error)
	Resize(cols, rows int)
	AppendPaint(dst []byte) []byte
}

const (
	// End is a Start or Seek beyond every recording.
	End = time.Duration(math.MaxInt64)

	// A recording is never shown slower or faster than this.
	minSpeed, maxSpeed = 1.0 / 16, 64.0

	// Going back starts at a frame; there is one for so many bytes of recording
	// (a quarter of a second of reading), and no more of them than maxFrames.
	frameEvery = 8 << 20
	maxFrames  = 1024

	// A live recording has been caught up with when it is silent for so long.
	caughtUp = 100 * time.Millisecond
)

// Play shows the recording until its end, the Quit key or the end of ctx.
func (p *Player) Play(ctx context.Context) error {
	s := &show{Player: p, speed: p.Speed, due: time.Now()}
	if err := s.open(frame{}); err != nil {
		return err
	}
	defer func() {
		s.src.stop()
		p.Hidden = s.filter.Close()
	}()
	if p.Tidy {
		defer s.tidy()
	}
	if p.Follow {
		p.Start = End
	}
	if p.Start > 0 {
		if err := s.seek(ctx, p.Start); err != nil {
			return plainEnd(err)
		}
	}
	return plainEnd(s.run(ctx))
}

// plainEnd: a torn recording plays to its last whole line.
func plainEnd(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, ErrTorn) || errors.Is(err, errQuit) {
		return nil
	}
	return err
}

var errQuit = errors.New("quit")

// show is a Player at work.
type show struct {
	*Player
	src    *source
	filter Filter
	reveal Reveal
	screen Screen
	cols   int
	rows   int
	speed  float64
	pos    time.Duration // recorded time of what is shown
	held   *item         // the next event, waiting for its time
	due    time.Time     // when to show held
	paused bool
	left   time.Duration // to wait for held once the pause ends
	frames []frame
	out    []byte
}

// frame is a place from which reading can start.
type frame struct {
	at         time.Duration
	offset     int64
	cols, rows int
	paint      []byte
	reveal     Reveal
}

func (s *show) run(ctx context.Context) error {
	for {
		var items <-chan item
		var timer <-chan time.Time
		switch {
		case s.held == nil:
			items = s.src.items
		case !s.paused:
			if s.speed == 0 || !s.due.After(time.Now()) {
				if err := s.showHeld(); err != nil {
					return err
				}
				items = s.src.items
				break
			}
			timer = time.After(time.Until(s.due))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case a := <-s.Keys:
			if err := s.act(ctx, a); err != nil {
				return err
			}
		case it := <-items:
			if it.err != nil {
				if err := s.last(); err != nil {
					return err
				}
				return it.err
			}
			s.hold(it)
		case <-timer:
			if err := s.showHeld(); err != nil {
				return err
			}
		}
	}
}

// hold schedules an event.
func (s *show) hold(it item) {
	s.held = &it
	gap := it.at - s.pos
	if idle := s.idle(); idle > 0 {
		gap = min(gap, idle)
	}
	gap = s.scaled(max(gap, 0))
	if s.paused {
		s.left = gap
		return
	}
	s.due = s.due.Add(gap)
	if now := time.Now(); s.due.Before(now.Add(-time.Second)) {
		s.due = now // it came late, from a live session: don't hurry after it
	}
}

func (s *show) idle() time.Duration {
	if s.Idle > 0 {
		return s.Idle
	}
	return time.Duration(min(s.src.rd.Header.IdleTimeLimit, 1e6) * float64(time.Second))
}

func (s *show) scaled(d time.Duration) time.Duration {
	if s.speed == 0 {
		return 0
	}
	return time.Duration(float64(d) / s.speed)
}

func (s *show) showHeld() error {
	it := s.held
	s.held = nil
	s.feed(it)
	if it.code != Output {
		return nil
	}
	return s.write(it.data)
}

// last shows what is left of a control string at the end.
func (s *show) last() error {
	if !s.Reveal {
		return nil
	}
	return s.write(s.reveal.Close(nil))
}

func (s *show) write(data []byte) error {
	s.out = s.filter.Append(s.out[:0], data)
	if s.Raw {
		s.out = append(s.out[:0], data...)
	}
	_, err := s.Out.Write(s.out)
	return err
}

// feed keeps the books: the time, the screen and the frames. What is revealed
// takes the place of what was written.
func (s *show) feed(it *item) {
	s.pos = it.at
	if s.Reveal && it.code == Output {
		it.data = s.reveal.Append(nil, it.data)
	}
	if it.code == Resize {
		if cols, rows, ok := ParseSize(it.data); ok {
			s.cols, s.rows = cols, rows
			if s.screen != nil {
				s.screen.Resize(cols, rows)
			}
		}
	}
	if s.screen == nil {
		return
	}
	if it.code == Output {
		_, _ = s.screen.Write(it.data)
	}
	last := int64(0)
	if n := len(s.frames); n > 0 {
		last = s.frames[n-1].offset
	}
	if it.end >= last+frameEvery && len(s.frames) < maxFrames {
		s.frames = append(s.frames, frame{it.at, it.end, s.cols, s.rows, s.screen.AppendPaint(nil), s.reveal.Clone()})
	}
}

// tidy gives the terminal back.
func (s *show) tidy() {
	_, _ = s.Out.Write(append(s.filter.Restore(nil), "\r\n"...))
}

// ParseSize reads the data of a resize event, "80x24".
func ParseSize(data []byte) (cols, rows int, ok bool) {
	a, b, found := strings.Cut(string(data), "x")
	cols, err1 := strconv.Atoi(a)
	rows, err2 := strconv.Atoi(b)
	if !found || err1 != nil || err2 != nil || cols <= 0 || rows <= 0 {
		return 0, 0, false
	}
	cols, rows = Clamp(cols, rows)
	return cols, rows, true
}
