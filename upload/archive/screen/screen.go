// SPDX-License-Identifier: AGPL-3.0-or-later

// Package screen is a terminal emulator without a window: it runs the output
// of a recorded session and knows what the screen showed. It follows xterm in
// what programs rely on; its test compares it with another emulator on the
// recordings of real programs.
//
// Its input is hostile. Memory is bounded by the size of the screen
// (asciicast.MaxCells squared), whatever is written; nothing is answered and
// nothing but the screen changes.
package screen

import (
	"slices"
	"time"
	"unicode/utf8"

	"castgate/wrap/asciicast"
)

// Screen is the emulator. Its methods are not safe for concurrent use.
type Screen struct {
	// Now is the time that belongs to what is written next; see Line.At.
	Now time.Duration
	// Lines, when set, gets the lines of the transcript.
	Lines func(Line)

	cols, rows int
	main, alt  *buffer // alt is nil until it is used
	b          *buffer // the one that is shown
	pen        look
	saved      cursor // by ESC 7 on the main screen; the alternate one has its own
	savedAlt   cursor
	tabs       []bool
	charset    charset
	noWrap     bool
	insertMode bool
	origin     bool
	hidden     bool // the cursor
	last       rune // for REP: the character printed just before
	parse      parser
	str        asciicast.ControlString
	veiled     bool // the pen's colours hide what is written
	credit     int  // see spend
	record     recorder
}

// buffer is the main or the alternate screen.
type buffer struct {
	lines       []*row
	x, y        int // x may be cols: the next character wraps
	top, bottom int // scrolling region, inclusive
}

// cursor is what ESC 7 keeps.
type cursor struct {
	x, y    int
	pen     look
	charset charset
	origin  bool
}

// charset is the state of G0 and G1: true for line drawing.
type charset struct {
	g     [2]bool
	shift int
}

// New returns a blank screen.
func New(cols, rows int) *Screen {
	cols, rows = asciicast.Clamp(cols, rows)
	s := &Screen{cols: cols, rows: rows, credit: firstCredit}
	s.main = s.newBuffer()
	s.b = s.main
	s.resetTabs()
	return s
}

func (s *Screen) newBuffer() *buffer {
	b := &buffer{lines: make([]*row, s.rows), bottom: s.rows - 1}
	for i := range b.lines {
		b.lines[i] = newRow(s.cols, look{})
	}
	return b
}

func (s *Screen) resetTabs() {
	s.tabs = make([]bool, asciicast.MaxCells+1)
	for i := 0; i < len(s.tabs); i += 8 {
		s.tabs[i] = true
	}
}

// Size returns the width and height.
func (s *Screen) Size() (cols, rows int) { return s.cols, s.rows }

// Cursor returns the cursor's column and row, from 0.
func (s *Screen) Cursor() (x, y int) { return min(s.b.x, s.cols-1), s.b.y }

// Between says that what was written does not end within a sequence or a
// character, so that AppendPaint has all of the state.
func (s *Screen) Between() bool { return s.parse.state == ground && s.parse.n == 0 }

// Text returns what is shown, a string a row, without blanks at their ends.
func (s *Screen) Text() []string {
	text := make([]string, s.rows)
	for i, r := range s.b.lines {
		text[i] = string(r.text(nil, true))
	}
	return text
}

// Blank says that nothing is shown.
func (s *Screen) Blank() bool {
	return !slices.ContainsFunc(s.b.lines, func(r *row) bool { return !r.isBlank() })
}

// Resize changes the size as xterm does: rows leave at the top when the cursor
// needs the place, else blank ones at the bottom; text isn't wrapped anew.
func (s *Screen) Resize(cols, rows int) {
	cols, rows = asciicast.Clamp(cols, rows)
	for _, b := range []*buffer{s.main, s.alt} {
		if b != nil {
			s.resize(b, cols, rows)
		}
	}
	s.cols, s.rows = cols, rows
}

func (s *Screen) resize(b *buffer, cols, rows int) {
	for len(b.lines) > rows {
		if b.y < len(b.lines)-1 && b.lines[len(b.lines)-1].isBlank() {
			s.giveNotes(b.lines[len(b.lines)-1], false)
			b.lines = b.lines[:len(b.lines)-1]
			continue
		}
		if b.y < rows-1 || b.y == 0 { // text below the cursor goes
			s.lose(b, b.lines[len(b.lines)-1], false, OffScreen)
			b.lines = b.lines[:len(b.lines)-1]
			continue
		}
		if b == s.main {
			s.leaveTop(b.lines[0], b.lines[1].wrapped)
		} else {
			s.loseRows(b, 0, 1, OffScreen)
		}
		b.lines = b.lines[1:]
		b.y--
	}
	for len(b.lines) < rows {
		b.lines = append(b.lines, newRow(cols, look{}))
	}
	for _, r := range b.lines {
		if cols < r.width && !r.blankIn(cols, r.width) {
			s.lose(b, r, false, OffScreen) // what a narrower window cuts off
		}
		r.fit(cols)
	}
	b.x, b.y = min(b.x, cols-1), min(b.y, rows-1)
	b.top, b.bottom = 0, rows-1
}

// Few bytes can ask for much work: filling a screen of a million cells takes
// three. Such work is paid for with what was written before; a program that
// does nothing else, which only a hostile one does, isn't followed for ever.
const (
	firstCredit   = 1 << 24 // cells
	creditForByte = 64
	maxCredit     = 1 << 30
)

// spend says whether work on n cells may be done. What is not done is noted.
func (s *Screen) spend(n int) bool {
	if n > s.credit {
		s.unfollowed()
		return false
	}
	s.credit -= n
	return true
}

// Write runs output of the session. It never fails.
func (s *Screen) Write(p []byte) (int, error) {
	s.credit = min(s.credit+creditForByte*len(p), maxCredit)
	for i := 0; i < len(p); {
		if s.Between() {
			n := 0
			for i+n < len(p) && p[i+n] >= 0x20 && p[i+n] < 0x7f {
				n++
			}
			if n > 0 {
				s.printASCII(p[i : i+n])
				i += n
				continue
			}
		}
		if !s.byte(p[i]) {
			i++
		}
	}
	return len(p), nil
}

// printASCII is print for many characters that take one cell each.
func (s *Screen) printASCII(p []byte) {
	if s.insertMode || s.noWrap || s.charset.g[s.charset.shift] || s.record.gathers {
		for _, b := range p {
			s.print(rune(b))
		}
		return
	}
	for len(p) > 0 {
		if s.b.x >= s.cols {
			s.wrap()
		}
		b, r := s.b, s.b.lines[s.b.y]
		n := min(len(p), s.cols-b.x)
		s.touch(b, r, b.x, b.x+n, !allBlank(p[:n]))
		r.ink()
		r.veiled = r.veiled || s.veiled
		r.halves(b.x, b.x+n, s.pen)
		for i, c := range p[:n] {
			r.cells[b.x+i] = cell{r: rune(c), width: 1, look: s.pen}
		}
		r.at = s.Now
		b.x += n
		r.used = max(r.used, b.x)
		s.record.printed(b.x)
		s.last = rune(p[n-1])
		p = p[n:]
	}
}

func allBlank(p []byte) bool {
	for _, c := range p {
		if c != ' ' {
			return false
		}
	}
	return true
}

// print puts one character at the cursor.
func (s *Screen) print(r rune) {
	if r < utf8.RuneSelf && s.charset.g[s.charset.shift] {
		s.gather(&s.record.drawn, r)
		r = asciicast.LineDrawing(byte(r))
	} else if s.record.gathers {
		s.giveDrawn()
	}
	n := cells(r)
	if n == 0 {
		s.combine(r)
		return
	}
	b := s.b
	if b.x+n > s.cols {
		switch {
		case !s.noWrap && n <= s.cols:
			if l := b.lines[b.y]; b.x < s.cols {
				s.touch(b, l, b.x, s.cols, false)
				l.erase(b.x, s.cols, s.pen)
			}
			s.wrap()
		case n > 1:
			b.x = s.cols - 1
			s.gather(&s.record.beyond, r)
			return
		default:
			s.printBeyond(r)
			return
		}
	}
	l := b.lines[b.y]
	if s.insertMode {
		s.touch(b, l, b.x, s.cols, false)
		l.insert(b.x, n, s.cols, s.pen)
	}
	s.touch(b, l, b.x, b.x+n, r != ' ')
	l.ink()
	l.veiled = l.veiled || s.veiled
	l.halves(b.x, b.x+n, s.pen)
	l.cells[b.x] = cell{r: r, width: uint8(n), look: s.pen}
	if n == 2 {
		l.cells[b.x+1] = cell{look: s.pen}
	}
	l.at = s.Now
	b.x += n
	l.used = max(l.used, b.x)
	s.record.printed(b.x)
	s.last = r
}

// combine adds r to the character before the cursor.
func (s *Screen) combine(r rune) {
	x, l := s.b.x-1, s.b.lines[s.b.y]
	l.ink()
	if x > 0 && l.cells[x].width == 0 {
		x--
	}
	if x < 0 {
		if len(l.lead) < maxMarks {
			l.lead += string(r)
		} else {
			s.stack(l.lead, r)
		}
		return
	}
	c := &l.cells[x]
	if len(c.marks) >= maxMarks {
		s.stack(c.marks, r)
		return
	}
	if c.r == 0 {
		c.r = ' '
	}
	c.marks += string(r)
	l.at, l.used = s.Now, max(l.used, x+1)
}

// wrap goes on in the next row.
func (s *Screen) wrap() {
	s.b.x, s.b.lines[s.b.y].end = 0, 0
	if s.b.y == s.b.bottom {
		s.scrollUp(s.b.top, true)
	} else if s.b.y < s.rows-1 {
		s.b.y++
	}
	s.b.lines[s.b.y].wrapped = true
}

// index goes down one row and scrolls at the end of the region.
func (s *Screen) index() {
	s.b.x = min(s.b.x, s.cols-1)
	switch {
	case s.b.y == s.b.bottom:
		s.scrollUp(s.b.top, false)
	case s.b.y < s.rows-1:
		s.b.y++
	}
}

// lineFeed is index to a row that is a line of its own.
func (s *Screen) lineFeed() {
	if s.record.gathers {
		s.giveGathered()
	}
	s.index()
	s.b.lines[s.b.y].wrapped = false
}

// reverseFeed goes up one row and scrolls at the start of the region.
func (s *Screen) reverseFeed() {
	s.restrict()
	if s.b.y == s.b.top {
		s.scrollDown(s.b.top, s.b.bottom)
	} else if s.b.y > 0 {
		s.b.y--
	}
}

// scrollUp takes the row at top away and adds one at the bottom of the region.
// A row that leaves the main screen at its very top goes to the scrollback.
func (s *Screen) scrollUp(top int, wrapped bool) {
	b := s.b
	gone := b.lines[top]
	if b == s.main && top == 0 {
		next := wrapped // of a screen of one row, by the row to come
		if len(b.lines) > 1 {
			next = b.lines[1].wrapped || b.bottom == 0 && wrapped
		}
		s.leaveTop(gone, next)
	} else {
		s.lose(b, gone, top < b.bottom && b.lines[top+1].wrapped || top == b.bottom && wrapped, ErasedText)
	}
	copy(b.lines[top:b.bottom], b.lines[top+1:b.bottom+1])
	gone.clear(s.pen)
	b.lines[b.bottom] = gone
}

// scrollDown takes the row at bottom away and adds one at top.
func (s *Screen) scrollDown(top, bottom int) {
	b := s.b
	gone := b.lines[bottom]
	s.lose(b, gone, false, ErasedText)
	copy(b.lines[top+1:bottom+1], b.lines[top:bottom])
	gone.clear(s.pen)
	b.lines[top] = gone
}

// restrict brings the cursor back from behind the last column.
func (s *Screen) restrict() { s.b.x = max(0, min(s.b.x, s.cols-1)) }

// moveTo goes to a column and row; in origin mode the row counts from the
// region's top and stays in it.
func (s *Screen) moveTo(x, y int) {
	low, high := 0, s.rows-1
	if s.origin {
		low, high = s.b.top, s.b.bottom
		y += low
	}
	s.b.x, s.b.y = max(0, min(x, s.cols-1)), max(low, min(y, high))
}
