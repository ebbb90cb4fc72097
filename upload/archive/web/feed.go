// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"fmt"
	"time"

	"castgate/upload/archive/screen"
	"castgate/wrap/asciicast"
)

// feed turns the events of a recording into those that a player gets. There is
// one emulator, screen.Screen, which makes the transcript, the screen that
// "castgate play -at" begins with, and all that the page shows: the player is a
// mirror of it. So the screen of a moment is the same however one came to it,
// played or sought, and nothing in a recording can do more to the player than
// put characters into its cells.
//
// Where strings are to be shown as text, the player is the mirror of a second
// screen, of a terminal that knows no control strings. The transcript is that of
// the first in any case.
type feed struct {
	screen     *screen.Screen
	shown      *screen.Screen    // what the player shows: screen, or the second one
	reveal     *asciicast.Reveal // nil: shown is screen
	mirror     *screen.Mirror
	cols, rows int // the player's
}

func newFeed(term asciicast.Term, reveal bool) *feed {
	cols, rows := asciicast.Clamp(term.Cols, term.Rows)
	f := &feed{screen: screen.New(cols, rows), cols: cols, rows: rows}
	f.shown = f.screen
	if reveal {
		f.shown, f.reveal = screen.New(cols, rows), new(asciicast.Reveal)
	}
	f.mirror = screen.NewMirror(f.shown)
	return f
}

// run has the screen take an event. What the player gets for it is what sync
// returns then, and events that are no output are passed on as they are.
func (f *feed) run(ev asciicast.Event) {
	f.screen.Now = ev.Time
	f.mirror.Earn(len(ev.Data))
	switch ev.Code {
	case asciicast.Output:
		_, _ = f.screen.Write(ev.Data)
		if f.reveal != nil {
			_, _ = f.shown.Write(f.reveal.Append(nil, ev.Data))
		}
	case asciicast.Resize:
		if cols, rows, ok := asciicast.ParseSize(ev.Text); ok {
			f.screen.Resize(cols, rows)
			if f.reveal != nil {
				f.shown.Resize(cols, rows)
			}
		}
	}
}

// end shows what is left of a string that never ended.
func (f *feed) end() {
	if f.reveal != nil {
		_, _ = f.shown.Write(f.reveal.Close(nil))
	}
}

// sync calls send with the events that bring the player up to date, at most two.
// What costs too much may wait for a later event, but not where it must be now.
func (f *feed) sync(at time.Duration, now bool, send func(asciicast.Event)) {
	if !now && !f.mirror.Due() {
		return
	}
	if cols, rows := f.shown.Size(); cols != f.cols || rows != f.rows {
		f.cols, f.rows = cols, rows
		send(asciicast.Event{Time: at, Code: asciicast.Resize, Text: fmt.Appendf(nil, "%dx%d", cols, rows)})
	}
	if out := f.mirror.AppendChanges(nil); len(out) > 0 {
		send(asciicast.Event{Time: at, Code: asciicast.Output, Text: out})
	}
}

// snapshot is what shows the screen as it is on a player of its size, for which
// what sync sends next is meant.
func (f *feed) snapshot() (cols, rows int, init string) {
	f.cols, f.rows = f.shown.Size()
	return f.cols, f.rows, string(f.mirror.AppendAll(nil))
}
