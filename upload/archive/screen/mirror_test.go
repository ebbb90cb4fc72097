// SPDX-License-Identifier: AGPL-3.0-or-later

package screen

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

// other is the terminal that a Mirror keeps.
type other struct {
	*Mirror
	shows *Screen
	sent  int
}

func (o *other) sync() {
	if !o.Sized() {
		o.shows.Resize(o.s.cols, o.s.rows)
	}
	out := o.AppendChanges(nil)
	o.sent += len(out)
	_, _ = o.shows.Write(out)
}

// differs says what o shows otherwise than its Screen, as far as one sees it.
func (o *other) differs() string {
	for y, want := range o.s.b.lines {
		got := o.shows.b.lines[y]
		for x := range o.s.cols {
			w, g := cellAt(want, x), cellAt(got, x)
			w.marks = strings.ReplaceAll(w.marks, "\u202e", "") // it would turn the text around it
			if w.width != g.width || w.width > 0 && !same(&w, &g) {
				return fmt.Sprintf("row %d, column %d: %+v, want %+v", y, x, g, w)
			}
		}
	}
	x, y := o.s.Cursor()
	if gx, gy := o.shows.Cursor(); gx != x || gy != y || o.shows.hidden != o.s.hidden {
		return fmt.Sprintf("cursor %d,%d hidden %v, want %d,%d %v", gx, gy, o.shows.hidden, x, y, o.s.hidden)
	}
	return ""
}

func cellAt(r *row, x int) cell {
	if r.empty {
		return blank(look{bg: r.bg})
	}
	return r.cells[x]
}

// Whatever a session prints, and however its window changes, after each event
// the other terminal shows what the Screen shows, and so does one that comes to
// it just then.
func TestMirrorShowsTheSame(t *testing.T) {
	n := 300
	if os.Getenv("CASTGATE_TEST_SLOW") != "" {
		n = 5000
	}
	for seed := range n {
		rnd := rand.New(rand.NewPCG(uint64(seed), 21))
		s := New(5+rnd.IntN(30), 2+rnd.IntN(10))
		o := &other{Mirror: NewMirror(s), shows: New(s.Size())}
		var said strings.Builder
		for range 40 {
			switch text := randomOutput(rnd); rnd.IntN(12) {
			case 0:
				s.Resize(1+rnd.IntN(40), 1+rnd.IntN(12))
				fmt.Fprintf(&said, "<%dx%d>", s.cols, s.rows)
			case 1:
				text = []string{"\x1b[8mx\x1b[m", "\x1b#8", "\x1b[?1049h", "\x1b[?1049l", "a\u202eb", "\x1b[45m\x1b[2J", "\x1bc", "\x1b[3S", "\x1b[8;3;3t", "\x1b]0;t"}[rnd.IntN(10)]
				fallthrough
			default:
				said.WriteString(text)
				_, _ = s.Write([]byte(text))
			}
			o.sync()
			if diff := o.differs(); diff != "" {
				t.Fatalf("seed %d, %q: %s", seed, said.String(), diff)
			}
		}
		late := &other{Mirror: NewMirror(s), shows: New(s.Size())}
		if late.sync(); late.differs() != "" {
			t.Fatalf("seed %d, %q, opened late: %s", seed, said.String(), late.differs())
		}
	}
}

// A line more at the end of a full screen costs that line, not the screen.
func TestMirrorScrolls(t *testing.T) {
	s := New(80, 24)
	o := &other{Mirror: NewMirror(s), shows: New(80, 24)}
	for i := range 100 {
		_, _ = fmt.Fprintf(s, "line %d\r\n", i)
		o.sync()
	}
	o.sent = 0
	_, _ = s.Write([]byte("line 100\r\n"))
	if o.sync(); o.differs() != "" || o.sent > 40 {
		t.Errorf("%d bytes, %s", o.sent, o.differs())
	}
	o.sent = 0
	_, _ = s.Write([]byte("x"))
	if o.sync(); o.sent != 1 {
		t.Errorf("a character took %d bytes", o.sent)
	}
}

// Few bytes that change all of a large screen, or its size, are followed late:
// what is sent stays within a bound of what was recorded.
func TestMirrorHasABound(t *testing.T) {
	s := New(1000, 1000)
	m := NewMirror(s)
	recorded, sent, resized := 0, 0, 0
	for i := range 2000 {
		s.Resize(1000-i%2, 1000)
		_, _ = s.Write([]byte("\x1b#8"))
		recorded += len(`[0.1,"r","1000x1000"]`)
		m.Earn(len("1000x1000"))
		if m.Due() {
			sent += len(m.AppendChanges(nil))
			resized++
		}
	}
	if most := mirrorCredit + 30*recorded + 2_000_000; sent > most || resized < 2 {
		t.Errorf("%d bytes in %d events for %d recorded", sent, resized, recorded)
	}
}
