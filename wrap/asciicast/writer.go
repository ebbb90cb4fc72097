// SPDX-License-Identifier: AGPL-3.0-or-later

package asciicast

import (
	"encoding/base64"
	"encoding/binary"
	"math/bits"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// Encoder makes the lines that follow a header. Its methods append to a buffer
// of the caller's, allocate nothing in the steady state and never fail; the
// caller writes the buffer with one write(2). Times are since the session's
// start and must not decrease. The zero value is ready.
type Encoder struct {
	last   int64 // microseconds of the last event; intervals are differences, so that rounding never adds up
	output stream
	input  stream
}

// stream holds back the start of a UTF-8 sequence until its rest arrives.
type stream struct {
	tail    [utf8.UTFMax - 1]byte
	n       int
	scratch []byte
}

// AppendOutput appends what a session has written. p may end within a UTF-8
// sequence, which is then kept in a tail comment until its rest comes.
func (e *Encoder) AppendOutput(dst []byte, at time.Duration, p []byte) []byte {
	dst = e.appendBytes(dst, at, Output, &e.output, p)
	if e.output.n > 0 {
		dst = append(dst, "#tail "...)
		dst = base64.StdEncoding.AppendEncode(dst, e.output.tail[:e.output.n])
		dst = append(dst, '\n')
	}
	return dst
}

// AppendInput appends what the person has typed.
func (e *Encoder) AppendInput(dst []byte, at time.Duration, p []byte) []byte {
	return e.appendBytes(dst, at, Input, &e.input, p)
}

// Flush appends what is still held back. Call it before the last event.
func (e *Encoder) Flush(dst []byte, at time.Duration) []byte {
	dst = e.flush(dst, at, Input, &e.input)
	return e.flush(dst, at, Output, &e.output)
}

func (e *Encoder) flush(dst []byte, at time.Duration, code string, s *stream) []byte {
	if s.n == 0 {
		return dst
	}
	n := s.n
	s.n = 0
	return e.appendRaw(dst, at, code, s.tail[:n])
}

// AppendResize appends a change of the window's size, clamped to MaxCells.
func (e *Encoder) AppendResize(dst []byte, at time.Duration, cols, rows int) []byte {
	cols, rows = Clamp(cols, rows)
	dst = e.appendStart(dst, at, Resize)
	dst = strconv.AppendInt(dst, int64(cols), 10)
	dst = append(dst, 'x')
	dst = strconv.AppendInt(dst, int64(rows), 10)
	return append(dst, "\"]\n"...)
}

// AppendMarker appends a marker with a label.
func (e *Encoder) AppendMarker(dst []byte, at time.Duration, label string) []byte {
	dst = e.appendStart(dst, at, Marker)
	dst = appendEscaped(dst, []byte(toValid(label)))
	return append(dst, "\"]\n"...)
}

// AppendExit appends the last event: the exit status, 128+n after signal n.
func (e *Encoder) AppendExit(dst []byte, at time.Duration, status int) []byte {
	dst = e.appendStart(dst, at, Exit)
	dst = strconv.AppendInt(dst, int64(status), 10)
	return append(dst, "\"]\n"...)
}

// AppendEvent appends what another recorder has written, as it was.
func (e *Encoder) AppendEvent(dst []byte, at time.Duration, code string, text []byte) []byte {
	dst = e.appendStart(dst, at, string(appendEscaped(nil, []byte(code))))
	dst = appendEscaped(dst, text)
	return append(dst, "\"]\n"...)
}

func toValid(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return string([]rune(s))
}

// appendBytes appends one event with s's tail and p, less p's own cut tail.
func (e *Encoder) appendBytes(dst []byte, at time.Duration, code string, s *stream, p []byte) []byte {
	if s.n > 0 {
		s.scratch = append(append(s.scratch[:0], s.tail[:s.n]...), p...)
		p = s.scratch
	}
	cut := cutTail(p)
	s.n = copy(s.tail[:], p[cut:])
	if p = p[:cut]; len(p) == 0 {
		return dst
	}
	if !utf8.Valid(p) {
		return e.appendRaw(dst, at, code, p)
	}
	dst = e.appendStart(dst, at, code)
	dst = appendEscaped(dst, p)
	return append(dst, "\"]\n"...)
}

// appendRaw appends an event whose bytes are not UTF-8.
func (e *Encoder) appendRaw(dst []byte, at time.Duration, code string, p []byte) []byte {
	dst = append(dst, "#raw "...)
	dst = base64.StdEncoding.AppendEncode(dst, p)
	dst = append(dst, '\n')
	dst = e.appendStart(dst, at, code)
	if !mostlyBinary(p) {
		dst = appendLossy(dst, p)
	}
	return append(dst, "\"]\n"...)
}

// appendStart appends `[interval, "code", "`.
func (e *Encoder) appendStart(dst []byte, at time.Duration, code string) []byte {
	us := max(at.Microseconds(), e.last)
	d := uint64(us - e.last)
	e.last = us
	dst = append(dst, '[')
	dst = strconv.AppendUint(dst, d/1e6, 10)
	frac := d%1e6 + 1e6 // seven digits, the first of them in the point's place
	point := len(dst)
	dst = strconv.AppendUint(dst, frac, 10)
	dst[point] = '.'
	dst = append(dst, ", \""...)
	dst = append(dst, code...)
	return append(dst, "\", \""...)
}

// cutTail returns where p ends when an incomplete UTF-8 sequence at its end,
// which more bytes could complete, is left out.
func cutTail(p []byte) int {
	for i := len(p) - 1; i >= 0 && i > len(p)-utf8.UTFMax; i-- {
		c := p[i]
		if c < utf8.RuneSelf {
			break
		}
		if utf8.RuneStart(c) {
			if !utf8.FullRune(p[i:]) {
				return i
			}
			break
		}
	}
	return len(p)
}

// binarySample is how much of a chunk decides whether it is binary: enough to
// tell a stray Latin-1 letter from an archive.
const binarySample = 512

// mostlyBinary reports whether p's text would be worth nothing to a reader:
// more than an eighth of its start is not UTF-8.
func mostlyBinary(p []byte) bool {
	p = p[:min(len(p), binarySample)]
	bad := 0
	for i := 0; i < len(p); {
		r, n := utf8.DecodeRune(p[i:])
		if r == utf8.RuneError && n == 1 {
			bad++
		}
		if bad > 4 && bad*8 > len(p) {
			return true
		}
		i += n
	}
	return false
}

// appendLossy appends p with U+FFFD for each byte that isn't UTF-8.
func appendLossy(dst, p []byte) []byte {
	for len(p) > 0 {
		n := validPrefix(p)
		dst = appendEscaped(dst, p[:n])
		if p = p[n:]; len(p) > 0 {
			dst = utf8.AppendRune(dst, utf8.RuneError)
			p = p[1:]
		}
	}
	return dst
}

func validPrefix(p []byte) int {
	i := 0
	for i < len(p) {
		r, n := utf8.DecodeRune(p[i:])
		if r == utf8.RuneError && n == 1 {
			break
		}
		i += n
	}
	return i
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// special marks, in the high bit of each byte of w, the bytes that a JSON
// string must escape: controls, quote and backslash. Bits above the lowest
// mark may be wrong (borrows), so only the lowest counts.
func special(w uint64) uint64 {
	control := w - ones*0x20
	quote := w ^ ones*'"' - ones
	slash := w ^ ones*'\\' - ones
	return (control | quote | slash) &^ w & highs
}

// maxEscape is the longest that a byte becomes, \u001b.
const maxEscape = 6

// escapeStep bounds the room that is made for escapes, six times the text.
const escapeStep = 4 << 10

// appendEscaped appends p, which is UTF-8, as the inside of a JSON string.
func appendEscaped(dst, p []byte) []byte {
	for len(p) > escapeStep {
		dst = appendEscapedStep(dst, p[:escapeStep])
		p = p[escapeStep:]
	}
	return appendEscapedStep(dst, p)
}

// appendEscapedStep does the same for a piece that may end within a letter. What
// is shorter than a word, as between the escapes of a full screen, is stored as
// a whole one, and the next is written over the rest.
func appendEscapedStep(dst, p []byte) []byte {
	n := len(dst)
	dst = slices.Grow(dst, maxEscape*len(p)+8)
	room := dst[:cap(dst)]
	start, i := 0, 0
	for len(p)-i >= 8 {
		w := binary.LittleEndian.Uint64(p[i:])
		m := special(w)
		if m == 0 {
			i += 8
			continue
		}
		if start == i {
			binary.LittleEndian.PutUint64(room[n:], w)
			i += bits.TrailingZeros64(m) / 8
			n += i - start
		} else {
			i += bits.TrailingZeros64(m) / 8
			n += copy(room[n:], p[start:i])
		}
		esc := &escapes[p[i]]
		binary.LittleEndian.PutUint64(room[n:], esc.text)
		n += esc.n
		i++
		start = i
	}
	n += copy(room[n:], p[start:i])
	for _, c := range p[i:] {
		esc := &escapes[c]
		binary.LittleEndian.PutUint64(room[n:], esc.text)
		n += esc.n
	}
	return room[:n]
}

// escapes has what each byte is in a JSON string: itself or its escape, n bytes
// of text, the first in the lowest eight bits.
var escapes = func() (t [256]struct {
	text uint64
	n    int
},
) {
	const hex = "0123456789abcdef"
	for c := range t {
		t[c].text, t[c].n = uint64(c), 1
	}
	set := func(c byte, text ...byte) {
		t[c].text, t[c].n = 0, len(text)
		for i, b := range text {
			t[c].text |= uint64(b) << (8 * i)
		}
	}
	for c := range byte(0x20) {
		set(c, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
	}
	for _, short := range [...][2]byte{{'\n', 'n'}, {'\r', 'r'}, {'\t', 't'}, {'"', '"'}, {'\\', '\\'}} {
		set(short[0], '\\', short[1])
	}
	return t
}()
