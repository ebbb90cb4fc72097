// SPDX-License-Identifier: AGPL-3.0-or-later

package screen

import "slices"

// arg returns parameter i, def when it is not given or 0.
func (p *parser) arg(i, def int) int {
	if i < len(p.params) && p.params[i].n > 0 {
		return p.params[i].n
	}
	return def
}

// dispatch runs a CSI sequence; last is the character printed just before it.
func (s *Screen) dispatch(final byte, last rune) {
	p := &s.parse
	switch {
	case p.prefix == '?' && p.inter == 0 && (final == 'h' || final == 'l'):
		for _, m := range p.params {
			s.privateMode(m.n, final == 'h')
		}
	case p.prefix == '?' && p.inter == 0 && (final == 'J' || final == 'K'):
		s.erase(final) // selective: nothing is protected
	case p.prefix == 0 && p.inter == '!' && final == 'p':
		s.softReset()
	case p.prefix != 0 || p.inter != 0:
	case final == 'b':
		s.repeat(last, p.arg(0, 1))
	case final == 'h' || final == 'l':
		for _, m := range p.params {
			if m.n == 4 {
				s.insertMode = final == 'h'
			}
		}
	default:
		s.edit(final)
	}
}

// repeat prints a character again; more than the screen holds changes nothing.
func (s *Screen) repeat(r rune, n int) {
	n = min(n, s.cols*s.rows)
	if r == 0 || !s.spend(n) {
		return
	}
	saved := s.charset
	s.charset = charset{} // r has been through it
	for range n {
		s.print(r)
	}
	s.charset = saved
}

func (s *Screen) edit(final byte) {
	switch n := s.parse.arg(0, 1); final {
	case 'A', 'B', 'C', 'D', 'E', 'F', 'G', '`', 'H', 'f', 'd', 'e', 'a', 'I', 'Z':
		s.move(final, n)
	case 'J', 'K', 'X':
		s.erase(final)
	case '@', 'P':
		s.shiftCells(final, n)
	case 'L', 'M', 'S', 'T':
		s.shiftRows(final, n)
	case 'g':
		switch s.parse.arg(0, 0) {
		case 0:
			s.tabs[min(s.b.x, s.cols-1)] = false
		case 3:
			clear(s.tabs)
		}
	case 'm':
		s.colours()
	case 'r':
		s.region()
	case 's':
		s.saveCursor()
	case 'u':
		s.restoreCursor()
	}
}

func (s *Screen) move(final byte, n int) {
	b := s.b
	if final != 'I' { // a tab at the edge keeps the wrap that waits there
		s.restrict()
	}
	switch final {
	case 'A', 'F':
		low := 0
		if b.y >= b.top {
			low = b.top
		}
		b.y = max(low, b.y-n)
	case 'B', 'E', 'e':
		high := s.rows - 1
		if b.y <= b.bottom && final != 'e' || s.origin {
			high = b.bottom
		}
		b.y = min(high, b.y+n)
	case 'C', 'a':
		b.x = min(s.cols-1, b.x+n)
	case 'D':
		b.x = max(0, b.x-n)
	case 'G', '`':
		b.x = min(s.cols, n) - 1
	case 'H', 'f':
		s.moveTo(s.parse.arg(1, 1)-1, n-1)
	case 'd':
		s.moveTo(b.x, n-1)
	case 'I':
		s.tab(n)
	case 'Z':
		for ; n > 0 && b.x > 0; n-- {
			for b.x--; b.x > 0 && !s.tabs[b.x]; {
				b.x--
			}
		}
	}
	if final == 'E' || final == 'F' {
		b.x = 0
	}
}

func (s *Screen) tab(n int) {
	if s.b.x >= s.cols {
		return
	}
	for ; n > 0 && s.b.x < s.cols-1; n-- {
		for s.b.x++; s.b.x < s.cols-1 && !s.tabs[s.b.x]; {
			s.b.x++
		}
	}
}

// erase runs ED (J), EL (K) and ECH (X).
func (s *Screen) erase(final byte) {
	b := s.b
	if final == 'X' {
		s.restrict()
		s.eraseCells(b.x, min(s.cols, b.x+s.parse.arg(0, 1)))
		return
	}
	what := s.parse.arg(0, 0)
	if final == 'J' {
		switch {
		case what == 0 && (b.x > 0 || b.y > 0): // the cursor's line is only edited
			s.loseRows(b, b.y+1, s.rows, ErasedText)
		case what == 1:
			s.loseRows(b, 0, b.y, ErasedText)
		default:
			s.loseRows(b, 0, s.rows, ErasedText)
		}
	}
	switch what {
	case 0:
		s.eraseCells(b.x, s.cols)
		if b.x == 0 {
			b.lines[b.y].wrapped = false
		}
	case 1:
		s.eraseCells(0, min(b.x+1, s.cols))
	case 2:
		s.eraseCells(0, s.cols)
	default:
		return
	}
	if what == 2 {
		b.lines[b.y].wrapped = false
	}
	if final == 'J' {
		s.eraseOthers(what)
	}
}

// eraseOthers erases the rows that ED takes beside the cursor's.
func (s *Screen) eraseOthers(what int) {
	b := s.b
	for y, r := range b.lines {
		if what == 2 || what == 0 && y > b.y || what == 1 && y < b.y {
			r.clear(s.pen)
		}
	}
	if what == 1 {
		b.lines[b.y].wrapped = false
		if b.x+1 >= s.cols && b.y+1 < s.rows {
			b.lines[b.y+1].wrapped = false
		}
	}
}

func (s *Screen) eraseCells(from, to int) {
	r := s.b.lines[s.b.y]
	s.touch(s.b, r, from, to, false)
	r.erase(from, to, s.pen)
}

// shiftCells runs ICH (@) and DCH (P).
func (s *Screen) shiftCells(final byte, n int) {
	s.restrict()
	b, r := s.b, s.b.lines[s.b.y]
	s.touch(b, r, b.x, s.cols, false)
	s.record.shifted = true
	if final == '@' {
		r.insert(b.x, n, s.cols, s.pen)
	} else {
		r.remove(b.x, n, s.cols, s.pen)
	}
}

// shiftRows runs IL (L), DL (M), SU (S) and SD (T).
func (s *Screen) shiftRows(final byte, n int) {
	b := s.b
	top := b.top
	if final == 'L' || final == 'M' {
		s.restrict()
		if b.y < b.top || b.y > b.bottom {
			return
		}
		top = b.y
		b.x = 0
	}
	region := b.lines[top : b.bottom+1]
	n = min(n, len(region))
	rest := len(region) - n
	if final == 'L' || final == 'T' {
		s.loseRows(b, top+rest, b.bottom+1, ErasedText)
		gone := slices.Clone(region[rest:])
		copy(region[n:], region[:rest])
		copy(region, gone)
		region = region[:n]
	} else {
		s.loseRows(b, top, top+n, ErasedText)
		gone := slices.Clone(region[:n])
		copy(region, region[n:])
		copy(region[rest:], gone)
		region = region[rest:]
	}
	for _, r := range region {
		r.clear(s.pen)
	}
}

func (s *Screen) region() {
	top, bottom := s.parse.arg(0, 1), s.parse.arg(1, s.rows)
	bottom = min(bottom, s.rows)
	if top >= bottom {
		return
	}
	s.b.top, s.b.bottom = top-1, bottom-1
	s.moveTo(0, 0)
}
