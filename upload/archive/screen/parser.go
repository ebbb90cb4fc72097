// SPDX-License-Identifier: AGPL-3.0-or-later

package screen

import (
	"unicode"
	"unicode/utf8"
)

// parser finds the sequences in the output: https://vt100.net/emu/dec_ansi_parser,
// with UTF-8 in place of the 8-bit controls.
type parser struct {
	state  state
	part   [utf8.UTFMax]byte // of a UTF-8 sequence
	n      int
	prefix byte // ? > = < of a CSI sequence
	inter  byte // the intermediate; 0xff for several
	params []param
}

// param is a number; sub tells that it stands behind a colon.
type param struct {
	n   int
	set bool
	sub bool
}

type state uint8

const (
	ground state = iota
	escape
	escapeSeq
	csi
	str // this and what follows: in a control string
	oscString
	strEscape
)

const (
	maxParams = 64
	maxNumber = 1 << 16
)

// byte runs one byte; again means that it is to be run once more.
func (s *Screen) byte(c byte) (again bool) {
	p := &s.parse
	switch {
	case p.state >= str:
		return s.stringByte(c)
	case p.n > 0 || c >= utf8.RuneSelf:
		return s.multibyte(c)
	}
	switch {
	case c == 0x1b:
		p.state, p.prefix, p.inter, p.params = escape, 0, 0, p.params[:0]
	case c == 0x18 || c == 0x1a:
		p.state = ground
	case c < 0x20:
		s.control(c)
	case c == 0x7f:
	case p.state == ground:
		s.print(rune(c))
	case p.state == escape:
		s.afterEscape(c)
	case p.state == escapeSeq:
		s.escapeSequence(c)
	default:
		s.csiByte(c)
	}
	return false
}

func (s *Screen) multibyte(c byte) (again bool) {
	p := &s.parse
	if p.n > 0 && c&0xc0 != 0x80 {
		p.n = 0
		s.character(utf8.RuneError)
		return true
	}
	p.part[p.n] = c
	p.n++
	if !utf8.FullRune(p.part[:p.n]) {
		return false
	}
	r, size := utf8.DecodeRune(p.part[:p.n])
	again = size < p.n
	p.n = 0
	s.character(r)
	return again
}

func (s *Screen) character(r rune) {
	s.parse.state = ground
	if !unicode.IsControl(r) { // C1: no recorder or player of ours acts on them
		s.print(r)
	}
}

func (s *Screen) control(c byte) {
	if c != 0 {
		s.last = 0
	}
	switch c {
	case '\b':
		from := s.b.x
		s.restrict()
		s.b.x = max(0, s.b.x-1)
		s.record.backspace(from, s.b.x)
	case '\t':
		s.tab(1)
	case '\n', '\v', '\f':
		s.lineFeed()
	case '\r':
		s.b.x = 0
	case 0x0e:
		s.charset.shift = 1
	case 0x0f:
		s.charset.shift = 0
	}
}

func (s *Screen) afterEscape(c byte) {
	p := &s.parse
	p.state = ground
	if c == '[' {
		p.state = csi
		return
	}
	s.last = 0
	switch c {
	case ']':
		p.state = oscString
		s.str.Begin(c)
	case 'P', 'X', '^', '_':
		p.state = str
		s.str.Begin(c)
	case '7':
		s.saveCursor()
	case '8':
		s.restoreCursor()
	case 'D':
		s.index()
	case 'E':
		s.b.x = 0
		s.index()
	case 'M':
		s.reverseFeed()
	case 'H':
		s.tabs[min(s.b.x, s.cols-1)] = true
	case 'c':
		s.reset()
	default:
		if c >= 0x20 && c <= 0x2f {
			p.state, p.inter = escapeSeq, c
		}
	}
}

func (s *Screen) escapeSequence(c byte) {
	p := &s.parse
	if c <= 0x2f {
		p.inter = 0xff
		return
	}
	p.state = ground
	switch {
	case p.inter == '(' || p.inter == ')':
		s.charset.g[p.inter-'('] = c == '0'
	case p.inter == '#' && c == '8':
		s.alignment()
	}
}

func (s *Screen) csiByte(c byte) {
	p := &s.parse
	switch {
	case c >= '0' && c <= '9':
		if len(p.params) == 0 {
			p.params = append(p.params, param{})
		}
		n := &p.params[len(p.params)-1]
		n.n, n.set = min(n.n*10+int(c-'0'), maxNumber), true
	case c == ';' || c == ':':
		if len(p.params) == 0 {
			p.params = append(p.params, param{})
		}
		if len(p.params) < maxParams {
			p.params = append(p.params, param{sub: c == ':'})
		}
	case c >= '<' && c <= '?':
		p.prefix = c
	case c < '0':
		if p.inter != 0 {
			c = 0xff
		}
		p.inter = c
	default:
		p.state = ground
		last := s.last
		s.last = 0
		s.dispatch(c, last)
	}
}
