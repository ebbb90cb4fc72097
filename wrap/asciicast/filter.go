// SPDX-License-Identifier: AGPL-3.0-or-later

package asciicast

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

// Filter makes the output of a recorded session safe to write to the terminal
// of the person who looks at it. A recording is written by the person it
// records: what it contains may set titles and clipboards, make the terminal
// type answers into the auditor's shell, or hide text from the auditor.
//
// It is an allow-list. What passes is: printable UTF-8; CR, LF, TAB and BS;
// the ESC and CSI sequences that move the cursor, erase, scroll and colour
// (allowedCSI, allowedModes); and nothing else. Control strings (OSC, DCS, APC,
// PM, SOS) go away with all that is in them, as on most terminals; the text
// after them stays, and Hidden counts what was text in them. Characters that reorder or hide text are spelled out:
// <U+202E>. Line-drawing charsets become the Unicode characters they stand for.
//
// A sequence is written when it is whole and never before, so that no cut in
// the recording leaves the terminal inside one. The zero value is ready.
type Filter struct {
	Hidden int // lines of text that went away with control strings; Reveal shows them

	state  filterState
	seq    []byte // parameters and intermediates of the sequence being read
	string ControlString
	part   [utf8.UTFMax]byte
	n      int // bytes in part
	chars  charsets
	saved  charsets // by ESC 7, with the cursor
	alt    byte     // the private mode that switched to the alternate screen, as an index of altModes
}

// charsets says of G0 and G1 whether they are line drawing, and which is used.
type charsets struct {
	g     [2]bool
	shift int
}

func (c *charsets) drawing() bool { return c.g[c.shift] }

type filterState uint8

const (
	ground     filterState = iota
	escape                 // after ESC
	escapeSeq              // after ESC and an intermediate: ESC ( 0
	csi                    // after ESC [
	str                    // in a control string
	strEscape              // after ESC in a control string
	oscString              // as str, but BEL ends it too
	csiTooLong             // a CSI that is not to be kept
)

const (
	// A CSI sequence longer than this is dropped; xterm takes 30 parameters.
	maxSequence = 256
	// Numbers in sequences are cut to this: rows, columns, repeat counts and
	// colours are smaller, and terminals have overflowed on larger ones.
	maxParameter = 9999
	maxParams    = 32
)

// Append appends what is safe of p to dst.
func (f *Filter) Append(dst, p []byte) []byte {
	for i := 0; i < len(p); i++ {
		b := p[i]
		var again bool
		switch {
		case f.state == str || f.state == oscString || f.state == strEscape:
			if again = f.stringByte(b); again {
				i--
			}
			continue
		case f.n > 0 || b >= utf8.RuneSelf:
			if dst, again = f.multibyte(dst, b); again {
				i--
			}
			continue
		}
		if f.state == ground && b >= 0x20 && b < 0x7f && !f.chars.drawing() {
			dst = append(dst, b)
			continue
		}
		dst = f.control(dst, b)
	}
	return dst
}

// multibyte collects a UTF-8 sequence. again means that b was not part of it
// and is still to be read.
func (f *Filter) multibyte(dst []byte, b byte) (_ []byte, again bool) {
	if f.n > 0 && b&0xc0 != 0x80 {
		f.n = 0
		return f.character(dst, utf8.RuneError), true
	}
	f.part[f.n] = b
	f.n++
	if !utf8.FullRune(f.part[:f.n]) {
		return dst, false
	}
	r, size := utf8.DecodeRune(f.part[:f.n])
	again = size < f.n // a wrong continuation starts a character of its own
	f.n = 0
	return f.character(dst, r), again
}

// character passes a character that is not ASCII. It ends a sequence, as in xterm.
func (f *Filter) character(dst []byte, r rune) []byte {
	f.state = ground
	return AppendSafe(dst, r)
}

// AppendSafe appends r in the form in which a terminal may get it: itself, a
// visible name for what would hide or reorder text, nothing for a control.
func AppendSafe(dst []byte, r rune) []byte {
	switch {
	case unicode.IsControl(r):
		return dst
	case r == '\u200c' || r == '\u200d': // joiners: emoji and Indic scripts need them
	case unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp), r&0xfffe == 0xfffe, r >= 0xfdd0 && r <= 0xfdef:
		return fmt.Appendf(dst, "<U+%04X>", r)
	}
	return utf8.AppendRune(dst, r)
}

// control takes one ASCII byte outside plain text.
func (f *Filter) control(dst []byte, b byte) []byte {
	switch {
	case b == 0x1b:
		f.state, f.seq = escape, f.seq[:0]
		return dst
	case b == 0x18 || b == 0x1a: // CAN and SUB end a sequence
		f.state = ground
		return dst
	case b < 0x20: // other controls work inside a sequence, too
		return f.c0(dst, b)
	}
	switch f.state {
	case escape:
		return f.afterEscape(dst, b)
	case escapeSeq:
		return f.escapeSequence(dst, b)
	case csi, csiTooLong:
		return f.csiByte(dst, b)
	}
	if b == 0x7f {
		return dst
	}
	if f.chars.drawing() {
		return utf8.AppendRune(dst, LineDrawing(b))
	}
	return append(dst, b)
}

func (f *Filter) c0(dst []byte, b byte) []byte {
	switch b {
	case '\r', '\n', '\t', '\b':
		return append(dst, b)
	case '\v', '\f': // as LF on every terminal
		return append(dst, '\n')
	case 0x0e:
		f.chars.shift = 1
	case 0x0f:
		f.chars.shift = 0
	}
	return dst
}

// stringByte takes a byte of a control string. again means that it was not part
// of it and is still to be read.
func (f *Filter) stringByte(b byte) (again bool) {
	end := func(to filterState, whole bool) {
		f.state = to
		f.string.End(whole)
	}
	switch {
	case f.state == strEscape && b == '\\', b == 0x07 && f.state == oscString:
		end(ground, true)
	case b == 0x18 || b == 0x1a:
		end(ground, false)
	case b == 0x1b:
		f.state = strEscape
	case f.state == strEscape: // the ESC began another sequence
		end(escape, false)
		f.seq = f.seq[:0]
		again = true
	case !f.string.Add(b):
		f.state = ground
	}
	f.count()
	return again
}

func (f *Filter) count() {
	for _, p := range f.string.Pieces {
		if p.Format == "" && p.Text != "" {
			f.Hidden++
		}
	}
	f.string.Pieces = f.string.Pieces[:0]
}

// Close ends a control string that did not end, and returns Hidden.
func (f *Filter) Close() int {
	if f.state == str || f.state == oscString || f.state == strEscape {
		f.state = ground
		f.string.End(false)
		f.count()
	}
	return f.Hidden
}

func (f *Filter) afterEscape(dst []byte, b byte) []byte {
	f.state = ground
	switch b {
	case '[':
		f.state = csi
	case ']':
		f.state = oscString
		f.string.Begin(b)
	case 'P', 'X', '^', '_':
		f.state = str
		f.string.Begin(b)
	case '7', '8', 'D', 'E', 'M':
		f.keepCharsets(b)
		return append(dst, 0x1b, b)
	case 'c': // a full reset would take the auditor's scrollback and settings too
		f.chars = charsets{}
		return append(dst, "\x1b[!p\x1b[m\x1b[H\x1b[2J"...)
	default:
		if b >= 0x20 && b <= 0x2f {
			f.state, f.seq = escapeSeq, append(f.seq, b)
		}
	}
	return dst
}

// keepCharsets does for the charsets, which the terminal never sees, what ESC 7
// and ESC 8 do for the rest.
func (f *Filter) keepCharsets(b byte) {
	switch b {
	case '7':
		f.saved = f.chars
	case '8':
		f.chars = f.saved
	}
}

// escapeSequence takes what follows an intermediate. Only the charsets G0 and
// G1 mean something here, and they never reach the terminal.
func (f *Filter) escapeSequence(dst []byte, b byte) []byte {
	if b <= 0x2f {
		if len(f.seq) < maxSequence {
			f.seq = append(f.seq, b)
		}
		return dst
	}
	f.state = ground
	if len(f.seq) == 1 && (f.seq[0] == '(' || f.seq[0] == ')') {
		f.chars.g[f.seq[0]-'('] = b == '0'
	}
	return dst
}

// LineDrawing is the character that b stands for in the DEC special graphics
// set (VT100 user guide, table 3-9).
func LineDrawing(b byte) rune {
	const set = "◆▒␉␌␍␊°±␤␋┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│≤≥π≠£·"
	if b < '`' || b > '~' {
		return rune(b)
	}
	i := int(b - '`')
	for _, r := range set {
		if i == 0 {
			return r
		}
		i--
	}
	return rune(b)
}
