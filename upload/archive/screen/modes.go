// SPDX-License-Identifier: AGPL-3.0-or-later

package screen

// privateMode sets or resets a DEC private mode.
func (s *Screen) privateMode(mode int, on bool) {
	switch mode {
	case 6:
		s.origin = on
		s.moveTo(0, 0)
	case 7:
		s.noWrap = !on
	case 25:
		s.hidden = !on
	case 1048:
		if on {
			s.saveCursor()
		} else {
			s.restoreCursor()
		}
	case 1049:
		if on {
			s.saveCursor()
			s.switchTo(true)
		} else {
			s.switchTo(false)
			s.restoreCursor()
		}
	case 47, 1047:
		s.switchTo(on)
	}
}

// switchTo shows the alternate or the main screen. The cursor comes along, as
// in xterm; the alternate screen starts blank.
func (s *Screen) switchTo(alt bool) {
	if alt == (s.b != s.main) {
		return
	}
	x, y := s.b.x, s.b.y
	if alt {
		if s.record.row != nil {
			s.settle(s.main, s.record.row)
		}
		s.flushLost(s.main)
		s.alt = s.newBuffer()
		for _, r := range s.alt.lines {
			r.clear(s.pen)
		}
		s.b, s.record.altSince = s.alt, s.Now
	} else {
		s.loseRows(s.alt, 0, s.rows, ErasedText)
		s.flushLost(s.alt)
		s.b, s.alt = s.main, nil
	}
	s.record.row = nil
	s.b.x, s.b.y = x, y
}

func (s *Screen) kept() *cursor {
	if s.b == s.main {
		return &s.saved
	}
	return &s.savedAlt
}

func (s *Screen) saveCursor() {
	*s.kept() = cursor{s.b.x, s.b.y, s.pen, s.charset, s.origin}
}

func (s *Screen) restoreCursor() {
	k := s.kept()
	s.pen, s.charset, s.origin = k.pen, k.charset, k.origin
	s.veiled = s.pen.hides()
	s.b.x, s.b.y = min(k.x, s.cols), min(k.y, s.rows-1)
}

// softReset is DECSTR.
func (s *Screen) softReset() {
	s.b.top, s.b.bottom = 0, s.rows-1
	s.pen, s.charset, s.veiled = look{}, charset{}, false
	s.insertMode, s.origin, s.noWrap, s.hidden = false, false, false, false
	*s.kept() = cursor{}
}

// reset is RIS.
func (s *Screen) reset() {
	s.switchTo(false)
	s.softReset()
	s.resetTabs()
	s.loseRows(s.main, 0, s.rows, ErasedText)
	for _, r := range s.main.lines {
		r.clear(look{})
	}
	s.main.x, s.main.y = 0, 0
}

// alignment is DECALN: a screen of E.
func (s *Screen) alignment() {
	if !s.spend(s.cols * s.rows) {
		return
	}
	s.b.x, s.b.y = 0, 0
	s.loseRows(s.b, 0, s.rows, ErasedText)
	for _, r := range s.b.lines {
		r.clear(look{})
		r.ink()
		for x := range s.cols {
			r.cells[x].r = 'E'
		}
		r.at, r.used = s.Now, s.cols
	}
}

// colours is SGR.
func (s *Screen) colours() {
	p := s.parse.params
	if len(p) == 0 {
		s.pen = look{}
	}
	for i := 0; i < len(p); i++ {
		end := i + 1
		for end < len(p) && p[end].sub {
			end++
		}
		switch n := p[i].n; {
		case n == 38 || n == 48:
			c, used := extended(p[i+1:], end > i+1)
			if n == 38 {
				s.pen.fg = c
			} else {
				s.pen.bg = c
			}
			end = max(end, i+1+used)
		case n == 58 && end == i+1: // underline colour, which cells don't have
			_, used := extended(p[i+1:], false)
			end = i + 1 + used
		case n == 4 && end > i+1 && p[i+1].n == 0: // 4:0 is no underline
			s.pen.attr &^= underline
		default:
			s.pen.set(n)
		}
		i = end - 1
	}
	s.veiled = s.pen.hides()
}

// extended reads what follows 38 or 48: 5;N or 2;R;G;B, or the same with
// colons, where a colour space may stand before the red.
func extended(p []param, colons bool) (c colour, used int) {
	if len(p) == 0 {
		return 0, 0
	}
	if colons {
		end := 0
		for end < len(p) && p[end].sub {
			end++
		}
		if p = p[:end]; len(p) > 4 && p[0].n == 2 {
			p = append([]param{p[0]}, p[2:]...)
		}
	}
	switch {
	case p[0].n == 5 && len(p) > 1:
		return palette | colour(p[1].n&0xff), 2
	case p[0].n == 2 && len(p) > 3:
		return direct | colour(p[1].n&0xff)<<16 | colour(p[2].n&0xff)<<8 | colour(p[3].n&0xff), 4
	case p[0].n == 5 || p[0].n == 2:
		return 0, len(p)
	}
	return 0, 1
}

func (l *look) set(n int) {
	switch {
	case n == 0:
		*l = look{}
	case n >= 1 && n <= 5:
		l.attr |= bold << (n - 1)
	case n == 6:
		l.attr |= blink
	case n >= 7 && n <= 9:
		l.attr |= inverse << (n - 7)
	case n == 21:
		l.attr |= underline
	case n == 22:
		l.attr &^= bold | dim
	case n == 23 || n == 24 || n == 25:
		l.attr &^= italic << (n - 23)
	case n >= 27 && n <= 29:
		l.attr &^= inverse << (n - 27)
	case n >= 30 && n <= 37:
		l.fg = palette | colour(n-30)
	case n == 39:
		l.fg = 0
	case n >= 40 && n <= 47:
		l.bg = palette | colour(n-40)
	case n == 49:
		l.bg = 0
	case n >= 90 && n <= 97:
		l.fg = palette | colour(n-90+8)
	case n >= 100 && n <= 107:
		l.bg = palette | colour(n-100+8)
	}
}
