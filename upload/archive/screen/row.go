// SPDX-License-Identifier: AGPL-3.0-or-later

package screen

import (
	"strings"
	"time"
	"unicode/utf8"
)

// cell is one place on the screen. A cell without a character has r 0; the
// right half of a wide character has width 0 and r 0.
type cell struct {
	r     rune
	width uint8
	look  look
	marks string // combining characters
}

// look is how a cell is drawn.
type look struct {
	fg, bg colour
	attr   uint16
}

// colour is 0 for the default, palette|index or direct|rgb.
type colour uint32

const (
	palette colour = 1 << 24
	direct  colour = 2 << 24
)

// Attributes of a cell, in the order of their SGR numbers.
const (
	bold uint16 = 1 << iota
	dim
	italic
	underline
	blink
	inverse
	conceal
	strike
)

// maxMarks bounds the bytes of combining characters on one cell: a letter has
// two or three, a hostile recording as many as it likes.
const maxMarks = 64

func blank(l look) cell { return cell{width: 1, look: look{bg: l.bg}} }

// row is one line of the screen. An empty row has no cells but knows their
// colour: clearing is quick however large the screen is, and a screen that is
// never written on takes no memory.
type row struct {
	width   int
	cells   []cell // of no meaning while empty
	empty   bool
	bg      colour        // of the cells of an empty row
	wrapped bool          // it continues the row above
	used    int           // the cells from here on are blank
	end     int           // where it wrapped, when it has become wider since
	at      time.Duration // when a character was last put on it
	changed bool          // since a Mirror looked

	// For the transcript, see lines.go.
	old    string // what is being written over
	oldAt  time.Duration
	how    Hidden // how old is being hidden
	shape  string // of the last text that was lost for a number
	lead   string // characters without width before the first cell
	veiled bool   // some of it may be written in hiding colours
	notes  []note
}

func newRow(cols int, l look) *row { return &row{width: cols, empty: true, bg: l.bg, changed: true} }

func (r *row) clear(l look) {
	r.empty, r.bg, r.changed = true, l.bg, true
	r.used, r.end = 0, 0
	r.wrapped, r.veiled, r.old, r.lead, r.shape, r.at = false, false, "", "", "", 0
}

// ink gives an empty row its cells, before it is written on.
func (r *row) ink() {
	r.changed = true
	if !r.empty {
		return
	}
	r.empty, r.used = false, 0
	if cap(r.cells) < r.width {
		r.cells = make([]cell, r.width)
	}
	r.cells = r.cells[:r.width]
	for i := range r.cells {
		r.cells[i] = blank(look{bg: r.bg})
	}
}

// fit gives the row another width.
func (r *row) fit(cols int) {
	if cols > r.width && r.end == 0 {
		r.end = r.width
	}
	r.end, r.used, r.changed = min(r.end, cols), min(r.used, cols), true
	if r.empty {
		r.width = cols
		return
	}
	for len(r.cells) < cols {
		r.cells = append(r.cells, blank(look{}))
	}
	r.cells, r.width = r.cells[:cols], cols
	if r.cells[cols-1].width == 2 {
		r.cells[cols-1] = blank(look{})
	}
}

// halves blanks the other half of a wide character when a change of the cells
// from x to end would leave it alone.
func (r *row) halves(x, end int, l look) {
	if r.empty {
		return
	}
	if x > 0 && x <= len(r.cells) && r.cells[x-1].width == 2 {
		r.cells[x-1] = blank(l)
	}
	if end > 0 && end < len(r.cells) && r.cells[end].width == 0 {
		r.cells[end] = blank(l)
	}
}

func (r *row) erase(from, to int, l look) {
	to = min(to, r.width)
	switch {
	case from >= to || r.empty && r.bg == l.bg:
		return
	case from == 0 && to == r.width:
		r.empty, r.veiled, r.bg, r.changed = true, false, l.bg, true
		return
	}
	r.ink()
	r.halves(from, to, l)
	for i := from; i < to; i++ {
		r.cells[i] = blank(l)
	}
}

// insert moves the cells from x to the right within cols.
func (r *row) insert(x, n, cols int, l look) {
	n = min(n, cols-x)
	if n <= 0 || r.empty && r.bg == l.bg {
		return
	}
	r.ink()
	r.halves(x, x, l)
	r.used = min(max(r.used, x)+n, r.width)
	copy(r.cells[x+n:cols], r.cells[x:cols-n])
	for i := x; i < x+n; i++ {
		r.cells[i] = blank(l)
	}
	if r.cells[cols-1].width == 2 {
		r.cells[cols-1] = blank(l)
	}
}

// remove deletes cells at x and fills up at the right.
func (r *row) remove(x, n, cols int, l look) {
	n = min(n, cols-x)
	if n <= 0 || r.empty && r.bg == l.bg {
		return
	}
	r.ink()
	r.halves(x, x+n, l)
	copy(r.cells[x:cols], r.cells[x+n:cols])
	for i := cols - n; i < cols; i++ {
		r.cells[i] = blank(l)
	}
}

// text appends what the row shows. trim leaves out the blanks at its end; others
// reach to where it wrapped.
func (r *row) text(dst []byte, trim bool) []byte {
	end, width := len(dst), r.width
	if r.end > 0 && !trim && r.blankIn(r.end, r.width) {
		width = r.end
	}
	if r.empty {
		if !trim {
			dst = append(dst, strings.Repeat(" ", width)...)
		}
		return dst
	}
	for i := range r.cells[:min(width, r.used)] {
		c := &r.cells[i]
		switch {
		case c.width == 0:
			continue
		case c.r == 0 || c.r == ' ' && c.marks == "":
			dst = append(dst, ' ')
			continue
		case c.r < utf8.RuneSelf:
			dst = append(dst, byte(c.r))
		default:
			dst = utf8.AppendRune(dst, c.r)
		}
		dst = append(dst, c.marks...)
		end = len(dst)
	}
	if trim {
		return dst[:end]
	}
	for range width - min(width, r.used) {
		dst = append(dst, ' ')
	}
	return dst
}

func (r *row) isBlank() bool { return r.blankIn(0, r.width) }

// blankIn says that there is no character from x to end.
func (r *row) blankIn(x, end int) bool {
	if r.empty {
		return true
	}
	for i := x; i < min(end, r.used); i++ {
		if c := &r.cells[i]; c.r != 0 && c.r != ' ' || c.marks != "" {
			return false
		}
	}
	return true
}
