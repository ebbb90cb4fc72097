// SPDX-License-Identifier: AGPL-3.0-or-later

package asciicast

import (
	"context"
	"time"
)

// Action is what a key asks of a Player.
type Action struct {
	Do Verb
	By time.Duration // of Seek: forward or back
}

// Verb names the actions.
type Verb uint8

// The actions.
const (
	Pause  Verb = iota + 1 // and go on
	Step                   // show the next event and pause
	Seek                   // by By; by -End to the start, by End to the end
	Faster                 // twice as fast
	Slower                 // half as fast
	Quit
)

// KeyHelp is a line for the person at the keys.
const KeyHelp = "space: pause   left/right: 5 s   up/down: 1 min   home/end   .: step   +/-: speed   q: quit"

const (
	shortSeek = 5 * time.Second
	longSeek  = time.Minute
)

var keys = map[string]Action{
	" ": {Do: Pause}, "p": {Do: Pause}, ".": {Do: Step}, "+": {Do: Faster}, "=": {Do: Faster}, "-": {Do: Slower},
	"q": {Do: Quit}, "\x03": {Do: Quit}, "\x04": {Do: Quit}, "\x1c": {Do: Quit},
	"\x1b[C": {Do: Seek, By: shortSeek}, "\x1b[D": {Do: Seek, By: -shortSeek},
	"\x1b[A": {Do: Seek, By: longSeek}, "\x1b[B": {Do: Seek, By: -longSeek},
	"\x1b[5~": {Do: Seek, By: -longSeek}, "\x1b[6~": {Do: Seek, By: longSeek},
	"l": {Do: Seek, By: shortSeek}, "h": {Do: Seek, By: -shortSeek},
	"g": {Do: Seek, By: -End}, "\x1b[H": {Do: Seek, By: -End}, "\x1b[1~": {Do: Seek, By: -End},
	"G": {Do: Seek, By: End}, "\x1b[F": {Do: Seek, By: End}, "\x1b[4~": {Do: Seek, By: End},
}

// ParseKeys reads what a terminal sent for the keys that were pressed. Unknown
// keys are skipped, with the whole of their sequence.
func ParseKeys(p []byte) []Action {
	var actions []Action
	for len(p) > 0 {
		n := keyLen(p)
		name := string(p[:n])
		if n > 1 && p[1] == 'O' { // application mode
			name = "\x1b[" + string(p[2:n])
		}
		if a, ok := keys[name]; ok {
			actions = append(actions, a)
		}
		p = p[n:]
	}
	return actions
}

func keyLen(p []byte) int {
	if p[0] != 0x1b || len(p) < 3 || p[1] != '[' && p[1] != 'O' {
		return 1
	}
	for i := 2; i < len(p); i++ {
		if p[i] >= 0x40 && p[i] <= 0x7e {
			return i + 1
		}
	}
	return len(p)
}

// act does what a key asks.
func (s *show) act(ctx context.Context, a Action) error {
	switch a.Do {
	case Quit:
		return errQuit
	case Pause:
		s.pause(!s.paused)
	case Step:
		s.pause(true)
		return s.step(ctx)
	case Faster:
		s.setSpeed(s.speed * 2)
	case Slower:
		s.setSpeed(s.speed / 2)
	case Seek:
		return s.seekBy(ctx, a.By)
	}
	return nil
}

func (s *show) seekBy(ctx context.Context, by time.Duration) error {
	switch {
	case s.screen == nil:
		return nil
	case by == End:
		return s.seek(ctx, End)
	case s.held != nil && !s.paused: // the time within the wait counts
		s.pos = max(s.pos, s.held.at-time.Duration(float64(time.Until(s.due))*s.speed))
	}
	return s.seek(ctx, max(0, s.pos+by))
}

func (s *show) pause(on bool) {
	if on && !s.paused {
		s.left = time.Until(s.due)
	} else if !on && s.paused {
		s.due = time.Now().Add(s.left)
	}
	s.paused = on
}

func (s *show) setSpeed(to float64) {
	to = min(max(to, minSpeed), maxSpeed)
	if s.speed > 0 {
		left := s.left
		if !s.paused {
			left = time.Until(s.due)
		}
		s.left = time.Duration(float64(max(left, 0)) * s.speed / to)
		s.due = time.Now().Add(s.left)
	}
	s.speed = to
}

// step shows the next output, whatever its time is.
func (s *show) step(ctx context.Context) error {
	for {
		if s.held == nil {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case it := <-s.src.items:
				if it.err != nil {
					return it.err
				}
				s.held = &it
			case a := <-s.Keys: // a live recording may be silent for long
				return s.act(ctx, a)
			}
		}
		shown := s.held.code == Output
		if err := s.showHeld(); err != nil || shown {
			s.left = 0
			return err
		}
	}
}
