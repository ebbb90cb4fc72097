// SPDX-License-Identifier: AGPL-3.0-or-later

package screen

import (
	"bytes"
	"strings"
	"time"
	"unicode/utf8"
)

// gathered is text that was written and stands on no screen as such.
type gathered struct {
	text []byte
	at   time.Duration
}

func (s *Screen) gather(g *gathered, r rune) {
	if s.Lines == nil {
		return
	}
	g.text, g.at = utf8.AppendRune(g.text, r), s.Now
	s.record.gathers = true
	if len(g.text) >= maxLine {
		s.giveGathered()
	}
}

// printBeyond prints in the last column what does not wrap, and keeps what stood
// there.
func (s *Screen) printBeyond(r rune) {
	b := s.b
	l, x := b.lines[b.y], s.cols-1
	l.ink()
	l.veiled = l.veiled || s.veiled
	if was := l.cells[x]; len(s.record.beyond.text) == 0 && was.r != 0 {
		s.gather(&s.record.beyond, was.r)
	}
	s.gather(&s.record.beyond, r)
	l.halves(x, x+1, s.pen)
	l.cells[x] = cell{r: r, width: 1, look: s.pen}
	l.at, l.used = s.Now, s.cols
	b.x = s.cols
	s.record.printed(b.x)
	s.last = r
}

// stack gathers a character for which there is no place beside marks.
func (s *Screen) stack(marks string, r rune) {
	if len(s.record.stacked.text) == 0 {
		for _, m := range marks {
			s.gather(&s.record.stacked, m)
		}
	}
	s.gather(&s.record.stacked, r)
}

// giveDrawn gives out what was drawn, when something else is written.
func (s *Screen) giveDrawn() {
	g := &s.record.drawn
	if !isBoxes(g.text) {
		s.give(g, Charset)
	}
	g.text = g.text[:0]
	s.record.gathers = len(s.record.beyond.text)+len(s.record.stacked.text) > 0
}

// isBoxes says that the letters draw lines, scroll bars and the like: nothing
// else is drawn with them by programs.
func isBoxes(letters []byte) bool { return len(bytes.Trim(letters, "jklmnqtuvwxa~` 0")) == 0 }

func (s *Screen) giveGathered() {
	s.giveDrawn()
	s.give(&s.record.beyond, OffScreen)
	s.give(&s.record.stacked, Stacked)
	s.record.gathers = false
}

func (s *Screen) give(g *gathered, how Hidden) {
	if text := strings.TrimSpace(string(g.text)); text != "" {
		s.note(Line{At: g.at, Kind: Erased, Hidden: how, Text: text})
	}
	g.text = g.text[:0]
}
