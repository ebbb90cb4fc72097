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
type feed struct {
	screen     *screen.Screen
	mirror     *screen.Mirror
	cols, rows int // the player's
}

func newFeed(term asciicast.Term) *feed {
	cols, rows := asciicast.Clamp(term.Cols, term.Rows)
	s := screen.New(cols, rows)
	return &feed{screen: s, mirror: screen.NewMirror(s), cols: cols, rows: rows}
}

// run has the screen take an event. What the player gets for it is what sync
// returns then, and events that are no output are passed on as they are.
func (f *feed) run(ev asciicast.Event) {
	f.screen.Now = ev.Time
	f.mirror.Earn(len(ev.Data))
	switch ev.Code {
	case asciicast.Output:
		_, _ = f.screen.Write(ev.Data)
	case asciicast.Resize:
		if cols, rows, ok := asciicast.ParseSize(ev.Text); ok {
			f.screen.Resize(cols, rows)
		}
	}
}

// sync calls send with the events that bring the player up to date, at most two.
// What costs too much may wait for a later event, but not where it must be now.
func (f *feed) sync(at time.Duration, now bool, send func(asciicast.Event)) {
	if !now && !f.mirror.Due() {
		return
	}
	if cols, rows := f.screen.Size(); cols != f.cols || rows != f.rows {
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
	f.cols, f.rows = f.screen.Size()
	return f.cols, f.rows, string(f.mirror.AppendAll(nil))
}
