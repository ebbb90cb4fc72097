// SPDX-License-Identifier: AGPL-3.0-or-later

package screen

import (
	"bytes"
	"unicode"
	"unicode/utf8"

	"castgate/wrap/asciicast"
)

// Mirror keeps another terminal showing what a Screen shows. The terminal gets
// none of the session's output, but the cells that have changed, put where they
// are: how it wraps lines anew when its size changes, what it makes of a rare or
// broken sequence, or of one that changes its size, then makes no difference.
// What it shows depends on the Screen alone, however it came there.
//
// What it is sent: its reset, CUP, SGR, ED, EL, line feeds on the last row,
// DECTCEM and printable characters.
type Mirror struct {
	s      *Screen
	cols   int
	rows   []mirrored // nil: the terminal shows nothing that is known
	x, y   int        // its cursor; x is unknown, -1, behind the last column
	hidden bool
	p      painter
	credit int
}

// mirrored is a row of the terminal: a copy of one of the Screen's.
type mirrored struct {
	of    *row
	cells []cell // nil: blank, in the colour bg
	bg    colour
}

// Few bytes of a recording can change much of the screen, and a size of the
// window all of it. What that costs, in bytes that are sent and cells that are
// compared, is paid for with what was recorded before: what can't be paid for
// comes with a later event. An event of its own is worth a few rows, so that
// only who does nothing else is seen late, and what is sent is bounded by some
// 30 times what was recorded.
const (
	mirrorCredit  = 1 << 24
	mirrorByEvent = 256
	mirrorByByte  = 8
	cellsForByte  = 16 // that are compared for the price of a byte that is sent
)

// NewMirror is for a terminal of which nothing is known.
func NewMirror(s *Screen) *Mirror { return &Mirror{s: s, credit: mirrorCredit} }

// Earn says that the recording has had another event, with n bytes of data.
func (m *Mirror) Earn(n int) {
	m.credit = min(m.credit+mirrorByEvent+n*mirrorByByte, maxCredit)
}

// Due says that what has changed may be sent.
func (m *Mirror) Due() bool { return m.credit >= 0 }

// Sized says that the terminal has the Screen's size. Where it doesn't, it is to
// be given that first.
func (m *Mirror) Sized() bool { return m.cols == m.s.cols && len(m.rows) == m.s.rows }

// AppendAll appends what brings a terminal of the Screen's size, whatever it
// shows, to show the Screen.
func (m *Mirror) AppendAll(dst []byte) []byte {
	m.cols, m.rows = m.s.cols, make([]mirrored, m.s.rows)
	m.x, m.y, m.hidden, m.p.now = 0, 0, false, look{}
	for _, r := range m.s.b.lines {
		r.changed = true
	}
	return m.AppendChanges(append(dst, "\x1bc"...))
}

// AppendChanges appends what brings the terminal, which was sent all before, to
// show the Screen.
func (m *Mirror) AppendChanges(dst []byte) []byte {
	if !m.Sized() {
		return m.AppendAll(dst)
	}
	m.p.dst = dst
	m.scroll()
	for y, r := range m.s.b.lines {
		if r.changed || m.rows[y].of != r {
			m.credit -= m.cols / cellsForByte
			m.become(&m.rows[y], r, y)
		}
	}
	m.goTo(m.s.Cursor())
	if m.s.hidden != m.hidden {
		m.hidden = m.s.hidden
		m.p.dst = append(m.p.dst, cursorShown[!m.hidden]...)
	}
	m.credit -= len(m.p.dst) - len(dst)
	dst, m.p.dst = m.p.dst, nil
	return dst
}

var cursorShown = map[bool]string{true: "\x1b[?25h", false: "\x1b[?25l"}

// scroll moves the rows up together where the Screen's have gone up.
func (m *Mirror) scroll() {
	lines, n := m.s.b.lines, 0
	for n < len(lines) && m.rows[n].of != lines[0] {
		n++
	}
	if n == 0 || n == len(lines) {
		return
	}
	for y := range len(lines) - n {
		if m.rows[y+n].of != lines[y] {
			return
		}
	}
	m.p.look(look{})
	m.goTo(0, len(lines)-1)
	m.p.dst = append(m.p.dst, bytes.Repeat([]byte("\n"), n)...)
	gone := append([]mirrored(nil), m.rows[:n]...)
	copy(m.rows, m.rows[n:])
	for i, r := range gone {
		m.rows[len(lines)-n+i] = mirrored{cells: r.cells[:0]} // its memory, for the next
	}
}

func (t *mirrored) clear(bg colour) { t.cells, t.bg = t.cells[:0], bg }

// at is the cell at x.
func (t *mirrored) at(x int) *cell {
	if len(t.cells) == 0 {
		return &cell{width: 1, look: look{bg: t.bg}}
	}
	return &t.cells[x]
}

// goTo moves the terminal's cursor.
func (m *Mirror) goTo(x, y int) {
	switch {
	case x == m.x && y == m.y:
		return
	case x == 0 && y == m.y+1:
		m.p.dst = append(m.p.dst, "\r\n"...)
	default:
		m.p.goTo(x, y)
	}
	m.x, m.y = x, y
}

// eraseFrom gives the row y the colour of l from the column x on.
func (m *Mirror) eraseFrom(x, y int, l look) {
	m.goTo(x, y)
	m.p.look(look{bg: l.bg})
	m.p.dst = append(m.p.dst, "\x1b[K"...)
}

// become changes the row y of the terminal, t, into r.
func (m *Mirror) become(t *mirrored, r *row, y int) {
	t.of, r.changed = r, false
	if r.empty {
		if len(t.cells) > 0 || t.bg != r.bg {
			m.eraseFrom(0, y, look{bg: r.bg})
		}
		t.clear(r.bg)
		return
	}
	m.draw(t, r, y)
	t.cells = append(t.cells[:0], r.cells...)
}

// draw draws the cells of r that t has not.
func (m *Mirror) draw(t *mirrored, r *row, y int) {
	last := &r.cells[len(r.cells)-1]
	end := len(r.cells) // from here to the end of the row all is one colour
	for end > 0 && plain(&r.cells[end-1]) && r.cells[end-1].look == last.look {
		end--
	}
	for x := 0; x < len(r.cells); x++ {
		c := &r.cells[x]
		switch {
		case c.width == 0 || len(t.cells) > 0 && *c == t.cells[x] || same(c, t.at(x)):
			continue
		case x >= end:
			m.eraseFrom(x, y, c.look)
			return
		}
		for m.near(r, x, y) {
			m.print(r)
		}
		m.goTo(x, y)
		m.print(r)
	}
}

// near says that the cursor is so little before x that the cells up to there,
// printed once more, take less than a sequence.
func (m *Mirror) near(r *row, x, y int) bool {
	const sequence = len("\x1b[10;10H")
	if m.y != y || m.x < 0 || m.x >= x || x-m.x >= sequence {
		return false
	}
	for i := m.x; i < x; i++ {
		if c := &r.cells[i]; c.width != 1 || c.r >= utf8.RuneSelf || c.marks != "" || c.look != m.p.now {
			return false
		}
	}
	return true
}

// print prints the cell of r that the cursor is at.
func (m *Mirror) print(r *row) {
	c := &r.cells[m.x]
	m.p.only(c)
	if m.x += int(c.width); m.x >= len(r.cells) {
		m.x = -1
	}
}

// Cells returns the characters of each row as the other terminal gets them: ""
// is the second half of a wide one.
func (s *Screen) Cells() [][]string {
	all := make([][]string, s.rows)
	for y, r := range s.b.lines {
		all[y] = make([]string, s.cols)
		for x := range all[y] {
			switch {
			case r.empty:
				all[y][x] = " "
			case r.cells[x].width > 0:
				p := painter{now: r.cells[x].look}
				p.only(&r.cells[x])
				all[y][x] = string(p.dst)
			}
		}
	}
	return all
}

// plain says that a cell has nothing but the colour behind it.
func plain(c *cell) bool {
	return c.width == 1 && (c.r == 0 || c.r == ' ') && c.marks == "" && c.look.attr&^conceal == 0
}

// same says that two cells look the same; concealed text is shown.
func same(a, b *cell) bool {
	if plain(a) || plain(b) {
		return plain(a) && plain(b) && a.look.bg == b.look.bg
	}
	return a.r == b.r && a.width == b.width && a.marks == b.marks &&
		a.look.fg == b.look.fg && a.look.bg == b.look.bg && (a.look.attr^b.look.attr)&^conceal == 0
}

// only prints a cell, which takes no more place than it has: what would be
// spelled out, and would need more, is replaced or left out.
func (p *painter) only(c *cell) {
	p.look(c.look)
	r := c.r
	if r >= ' ' && r < 0x7f && c.marks == "" {
		p.dst = append(p.dst, byte(r))
		return
	}
	switch {
	case r == 0:
		r = ' '
	case !unicode.IsGraphic(r):
		r = unicode.ReplacementChar
	}
	p.dst = asciicast.AppendSafe(p.dst, r)
	for _, m := range c.marks {
		if unicode.IsGraphic(m) {
			p.dst = asciicast.AppendSafe(p.dst, m)
		}
	}
}
