// SPDX-License-Identifier: AGPL-3.0-or-later

package screen

import (
	"fmt"
	"strconv"

	"castgate/wrap/asciicast"
)

// AppendPaint appends sequences that bring a blank terminal of this size into
// this screen's state: what is on both screens, the cursor and the saved one,
// the colours, the region, the charsets, the modes and whether it is within a
// control string. asciicast.Filter passes
// all of it but the charsets, which it turns into characters itself.
func (s *Screen) AppendPaint(dst []byte) []byte {
	p := painter{dst: append(dst, "\x1b[!p"...)}
	p.buffer(s.main, s.cols)
	if s.b == s.alt {
		p.region(s.main, false)
		p.save(s.saved, s.main, s.cols)
		// 47 keeps the cursor saved above; 1049 would save over it.
		p.dst = append(p.dst, "\x1b[?47h"...)
		p.look(look{})
		p.dst = append(p.dst, "\x1b[H\x1b[2J"...)
		p.buffer(s.alt, s.cols)
	}
	b := s.b
	p.region(b, b == s.alt) // of some terminals it is one for both screens
	if k := *s.kept(); k != (cursor{}) {
		p.save(k, b, s.cols)
	}
	p.cursor(b, b.x, b.y, s.cols)
	p.look(s.pen)
	if s.insertMode {
		p.dst = append(p.dst, "\x1b[4h"...)
	}
	if s.noWrap {
		p.dst = append(p.dst, "\x1b[?7l"...)
	}
	if s.hidden {
		p.dst = append(p.dst, "\x1b[?25l"...)
	}
	p.charsets(s.charset)
	if s.parse.state >= str { // what follows belongs to a control string
		p.dst = s.str.AppendBegin(p.dst)
	}
	return p.dst
}

type painter struct {
	dst []byte
	now look
}

// save makes k the saved cursor of the screen b, which is shown.
func (p *painter) save(k cursor, b *buffer, cols int) {
	p.cursor(b, k.x, min(k.y, len(b.lines)-1), cols)
	p.look(k.pen)
	p.charsets(k.charset)
	p.dst = append(p.dst, "\x1b7\x0f\x1b(B\x1b)B"...)
}

// region sets the scrolling region, which also moves the cursor.
func (p *painter) region(b *buffer, always bool) {
	if always || b.top > 0 || b.bottom < len(b.lines)-1 {
		p.dst = fmt.Appendf(p.dst, "\x1b[%d;%dr", b.top+1, b.bottom+1)
	}
}

func (p *painter) goTo(x, y int) { p.dst = fmt.Appendf(p.dst, "\x1b[%d;%dH", y+1, x+1) }

// buffer paints rows; blank cells in the default colours are skipped.
func (p *painter) buffer(b *buffer, cols int) {
	for y, r := range b.lines {
		if r.empty && r.bg == 0 {
			continue
		}
		r.ink()
		at := -1 // the column where the terminal's cursor is
		for x := 0; x < cols; x++ {
			c := &r.cells[x]
			if c.width == 0 || c.r == 0 && c.look == (look{}) && c.marks == "" {
				continue
			}
			if at != x {
				p.goTo(x, y)
			}
			p.cell(c)
			at = x + int(c.width)
		}
	}
	p.look(look{})
}

func (p *painter) cell(c *cell) {
	p.look(c.look)
	if c.r == 0 {
		p.dst = append(p.dst, ' ')
	} else {
		p.dst = asciicast.AppendSafe(p.dst, c.r)
	}
	for _, m := range c.marks {
		p.dst = asciicast.AppendSafe(p.dst, m)
	}
}

// cursor puts the cursor in its place. Behind the last column, where the next
// character will wrap, it comes only by printing that column again.
func (p *painter) cursor(b *buffer, x, y, cols int) {
	if x < cols {
		p.goTo(x, y)
		return
	}
	x = cols - 1
	b.lines[y].ink()
	if x > 0 && b.lines[y].cells[x].width == 0 {
		x--
	}
	p.goTo(x, y)
	p.cell(&b.lines[y].cells[x])
}

func (p *painter) charsets(c charset) {
	for i, lines := range c.g {
		if lines {
			p.dst = append(p.dst, 0x1b, "()"[i], '0')
		}
	}
	if c.shift == 1 {
		p.dst = append(p.dst, 0x0e)
	}
}

// look changes the colours and attributes to l.
func (p *painter) look(l look) {
	if l == p.now {
		return
	}
	p.now = l
	p.dst = append(p.dst, "\x1b[0"...)
	for bit, n := 0, 1; bit < 8; bit, n = bit+1, n+1 {
		if n == 6 { // rapid blink is blink
			n++
		}
		if l.attr&^conceal&(1<<bit) != 0 { // concealed text is shown
			p.dst = append(append(p.dst, ';'), byte('0'+n))
		}
	}
	p.colour(l.fg, 30)
	p.colour(l.bg, 40)
	p.dst = append(p.dst, 'm')
}

func (p *painter) colour(c colour, base int64) {
	n := int64(c & 0xffffff)
	switch {
	case c == 0:
	case c < direct && n < 8:
		p.dst = strconv.AppendInt(append(p.dst, ';'), base+n, 10)
	case c < direct && n < 16:
		p.dst = strconv.AppendInt(append(p.dst, ';'), base+60+n-8, 10)
	case c < direct:
		p.dst = fmt.Appendf(p.dst, ";%d;5;%d", base+8, n)
	default:
		p.dst = fmt.Appendf(p.dst, ";%d;2;%d;%d;%d", base+8, n>>16, n>>8&0xff, n&0xff)
	}
}
