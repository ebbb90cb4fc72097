// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// style is what a cell's character looks like.
type style struct {
	fg, bg           string // CSS colours; "" for the terminal's own
	bold, dim, under bool
	italic, reversed bool
}

type cell struct {
	style
	r rune
}

// paint draws what screen.AppendPaint wrote: text, CSI H (position) and CSI m
// (colours). Everything else only says how a real terminal is to go on.
func paint(p []byte, cols, rows int) [][]cell {
	grid := make([][]cell, rows)
	for y := range grid {
		grid[y] = make([]cell, cols)
	}
	var st style
	x, y := 0, 0
	for len(p) > 0 {
		if p[0] == 0x1b {
			final, args, n := sequence(p)
			p = p[n:]
			switch final {
			case 'm':
				st = st.apply(args)
			case 'H':
				y, x = arg(args, 0)-1, arg(args, 1)-1
			case 'J':
				clear(grid[0])
				for i := range grid {
					clear(grid[i])
				}
			}
			continue
		}
		r, n := utf8.DecodeRune(p)
		p = p[n:]
		switch {
		case r == '\r':
			x = 0
		case r == '\n':
			y++
		case r >= ' ' && y >= 0 && y < rows && x >= 0 && x < cols:
			grid[y][x] = cell{st, r}
			x++
		}
	}
	return grid
}

// sequence reads one escape sequence: its final byte, for CSI its numbers,
// and its length.
func sequence(p []byte) (final byte, args []int, n int) {
	if len(p) < 2 || p[1] != '[' {
		return 0, nil, min(len(p), 3) // charsets, DECSC: two or three bytes
	}
	for n = 2; n < len(p) && (p[n] < 0x40 || p[n] > 0x7e); n++ {
	}
	if n == len(p) {
		return 0, nil, n
	}
	for f := range strings.FieldsFuncSeq(string(p[2:n]), func(r rune) bool { return r == ';' || r == ':' }) {
		v, err := strconv.Atoi(f)
		if err != nil { // a private mode
			return 0, nil, n + 1
		}
		args = append(args, v)
	}
	return p[n], args, n + 1
}

func arg(args []int, i int) int {
	if i < len(args) && args[i] > 0 {
		return args[i]
	}
	return 1
}

// apply is SGR, ECMA-48 8.3.117.
func (s style) apply(args []int) style {
	if len(args) == 0 {
		return style{}
	}
	for i := 0; i < len(args); i++ {
		switch a := args[i]; {
		case a == 0:
			s = style{}
		case a == 1:
			s.bold = true
		case a == 2:
			s.dim = true
		case a == 3:
			s.italic = true
		case a == 4:
			s.under = true
		case a == 7:
			s.reversed = true
		case a == 22:
			s.bold, s.dim = false, false
		case a == 24:
			s.under = false
		case a == 27:
			s.reversed = false
		case a >= 30 && a <= 37:
			s.fg = palette(a - 30)
		case a >= 90 && a <= 97:
			s.fg = palette(a - 90 + 8)
		case a == 39:
			s.fg = ""
		case a >= 40 && a <= 47:
			s.bg = palette(a - 40)
		case a >= 100 && a <= 107:
			s.bg = palette(a - 100 + 8)
		case a == 49:
			s.bg = ""
		case (a == 38 || a == 48) && i+2 < len(args) && args[i+1] == 5:
			s = s.indexed(a, args[i+2])
			i += 2
		}
	}
	return s
}

func (s style) indexed(which, colour int) style {
	if colour > 15 {
		return s // the demo's programs use the sixteen
	}
	if which == 38 {
		s.fg = palette(colour)
	} else {
		s.bg = palette(colour)
	}
	return s
}

func palette(n int) string {
	return [...]string{
		"#2e3436", "#e05561", "#8cc265", "#d1a84b", "#5b9ee1", "#c162de", "#4cb5bd", "#d7dae0",
		"#6b7280", "#ff7a85", "#a5e075", "#f0cb6b", "#7cb7ff", "#de8af0", "#6bd6de", "#ffffff",
	}[n]
}
