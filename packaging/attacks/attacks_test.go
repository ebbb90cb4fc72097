// SPDX-License-Identifier: AGPL-3.0-or-later

package attacks

import (
	"testing"
)

// verdict is how an attack ended.
type verdict string

const (
	works  verdict = "works"    // done, and no recording or log shows it
	seen   verdict = "seen"     // done, and a recording or the log shows it
	closed verdict = "refused"  // could not be done
	absent verdict = "no place" // makes no sense behind this door
	told   verdict = "told"     // done, but every recording says that the guard was away
)

// attack is one row of the table.
type attack struct {
	id   string // of the study's table
	what string
	by   string // what closes it
	options
	naive verdict // what it must do to the naive recorder
	// forced is what it does behind ForceCommand alone, where that is known to
	// leave something open that the recorder as the login shell closes.
	forced verdict
	guard  bool // the guard has a part in closing it: it is tried without, too
	try    func(w *world) verdict
}

// judge is the verdict on something that was or was not done: if it was, the
// words that stand for it must be in a recording.
func (w *world) judge(done bool, words string) verdict {
	w.Helper()
	switch {
	case !done:
		return closed
	case w.recorded(words):
		return seen
	}
	return works
}

// attacks are all of them, in the order of their ids.
func attacks() []attack {
	var all []attack
	for _, list := range [][]attack{
		beforeTheRecorder, takingTheShell, besideTheRecorder, atTheTerminal, lurking, atTheProcess, atTheSpool, inTheBytes, stoppedSessions, afterTheSession,
		atTheWildcards,
	} {
		all = append(all, list...)
	}
	return all
}

// saysSo says that every recording names the guard's absence in its header.
func (w *world) saysSo() bool {
	w.Helper()
	all := w.recordings()
	for _, r := range all {
		if s := r.header.Session; s == nil || s.Guard == "" {
			return false
		}
	}
	return len(all) > 0
}

func TestAttacks(t *testing.T) {
	var rows []row
	for _, a := range attacks() {
		r := row{attack: a}
		for i, d := range doors {
			if d.noGuard && !a.guard {
				r.verdicts[i] = same
				continue
			}
			t.Run(a.id+" "+a.what+"/"+d.name, func(t *testing.T) {
				w := newWorld(t, d, a.options)
				got := a.try(w)
				if got == works && d.noGuard && w.saysSo() {
					got = told
				}
				r.verdicts[i] = got
				switch {
				case !d.castgate && got != a.naive:
					t.Errorf("the naive recorder: %s, want %s", got, a.naive)
				case d.castgate && !d.loginShell && a.forced != "":
					if got != a.forced {
						t.Errorf("%s, want %s", got, a.forced)
					}
				case d.castgate && got == works:
					t.Error("it works, and nobody sees it")
				}
			})
		}
		rows = append(rows, r)
	}
	compare(t, rows)
}
