// SPDX-License-Identifier: AGPL-3.0-or-later

package screen

import (
	"bytes"
	"time"
	"unicode"
)

// joined is the text of rows that the terminal wrapped. When some of it is
// written in hiding colours, shown is what was to see.
type joined struct {
	text, shown []byte
	veiled      bool
	at          time.Duration
}

func (j *joined) add(r *row, trim bool) {
	if len(j.text) == 0 || !r.isBlank() {
		j.at = r.at
	}
	if r.veiled && !j.veiled && r.hides() {
		j.veiled, j.shown = true, append(j.shown[:0], j.text...)
	}
	j.text = r.text(append(j.text, r.lead...), trim)
	if j.veiled {
		j.shown = r.unveiled().text(j.shown, trim)
	}
}

// take returns what was joined, until add is called again; shown is nil when
// nothing was hidden.
func (j *joined) take() (text, shown []byte) {
	text = bytes.TrimRight(j.text, " ")
	if j.veiled {
		shown = append([]byte{}, bytes.TrimRight(j.shown, " ")...)
	}
	j.text, j.veiled = j.text[:0], false
	return text, shown
}

// hides says that a character of the row is written in hiding colours.
func (r *row) hides() bool {
	if r.empty {
		return false
	}
	for i := range r.cells {
		if r.cells[i].hides() {
			return true
		}
	}
	return false
}

// unveiled is the row without what is written in hiding colours.
func (r *row) unveiled() *row {
	u := &row{width: r.width, used: r.used, end: r.end, empty: r.empty, cells: append([]cell(nil), r.cells...)}
	for i := range u.cells {
		if c := &u.cells[i]; c.hides() {
			c.r, c.marks = 0, ""
		}
	}
	return u
}

// firstPicture is where arrows, boxes and blocks begin, with which pictures are
// drawn in cells of one colour.
const firstPicture = 0x2190

func (c *cell) hides() bool {
	if c.r == 0 || c.r == ' ' && c.marks == "" || !c.look.hides() {
		return false
	}
	return c.r < firstPicture || unicode.IsLetter(c.r) || unicode.IsNumber(c.r)
}

// hides says that these colours don't show what is written: concealed, the same
// before and behind, or black on a terminal's own background, which mostly is.
func (l look) hides() bool {
	switch {
	case l.attr&conceal != 0:
		return true
	case l.fg == 0:
		return false
	case l.bg == 0:
		return l.attr&(inverse|bold) == 0 && l.fg.isBlack()
	}
	return near(l.fg, l.bg)
}

// unseen is the largest difference between two colours, of all three parts,
// that nobody sees.
const unseen = 32

// isBlack is near black, quickly: it is asked at every change of colours.
func (c colour) isBlack() bool {
	if n := c & 0xffffff; c < direct {
		return n == 0 || n == 16 || n == 232
	}
	return near(c, direct)
}

func near(a, b colour) bool {
	if a == b {
		return true
	}
	ar, ag, ab := a.parts()
	br, bg, bb := b.parts()
	return apart(ar, br)+apart(ag, bg)+apart(ab, bb) <= unseen
}

func apart(a, b int) int { return max(a-b, b-a) }

// basic is what xterm shows for the first colours of the palette.
var basic = [...]colour{
	0x000000, 0xcd0000, 0x00cd00, 0xcdcd00, 0x0000ee, 0xcd00cd, 0x00cdcd, 0xe5e5e5,
	0x7f7f7f, 0xff0000, 0x00ff00, 0xffff00, 0x5c5cff, 0xff00ff, 0x00ffff, 0xffffff,
}

// parts is a colour's red, green and blue.
func (c colour) parts() (r, g, b int) {
	n := int(c & 0xffffff)
	switch {
	case c < direct && n >= 232:
		grey := 8 + 10*(n-232)
		return grey, grey, grey
	case c < direct && n >= 16:
		return cube((n - 16) / 36), cube((n - 16) / 6 % 6), cube((n - 16) % 6)
	case c < direct:
		n = int(basic[n])
	}
	return n >> 16, n >> 8 & 0xff, n & 0xff
}

// cube is a step of the palette's colour cube.
func cube(n int) int {
	if n == 0 {
		return 0
	}
	return 55 + 40*n
}
