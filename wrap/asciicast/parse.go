// SPDX-License-Identifier: AGPL-3.0-or-later

package asciicast

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

var (
	errEvent = errors.New(`not an event: want [seconds, "code", "data"]`)
	errUTF8  = errors.New("the line is not UTF-8")
)

// parseEvent reads `[seconds, "code", "data"]`. The data is appended to dst;
// the time is in microseconds. It takes the lines of our own writer without an
// allocation, and any other JSON spelling of the same.
func parseEvent(line, dst []byte) (us int64, code string, data []byte, err error) {
	if !utf8.Valid(line) {
		return 0, "", dst, errUTF8
	}
	p := cursor{line}
	if !p.take('[') {
		return 0, "", dst, errEvent
	}
	if us, err = p.seconds(); err != nil {
		return 0, "", dst, err
	}
	if !p.take(',') {
		return 0, "", dst, errEvent
	}
	if code, err = p.code(); err != nil {
		return 0, "", dst, err
	}
	if !p.take(',') {
		return 0, "", dst, errEvent
	}
	if data, err = p.text(dst); err != nil {
		return 0, "", dst, err
	}
	if !p.take(']') || len(bytes.TrimLeft(p.rest, " \t\r")) > 0 {
		return 0, "", dst, errEvent
	}
	return us, code, data, nil
}

type cursor struct{ rest []byte }

func (c *cursor) space() { c.rest = bytes.TrimLeft(c.rest, " \t\r") }

func (c *cursor) take(b byte) bool {
	c.space()
	if len(c.rest) == 0 || c.rest[0] != b {
		return false
	}
	c.rest = c.rest[1:]
	return true
}

// maxSeconds bounds a time so that it fits a time.Duration with room to add.
const maxSeconds = 1e9

func (c *cursor) seconds() (int64, error) {
	c.space()
	n := 0
	for n < len(c.rest) && bytes.IndexByte([]byte("0123456789.eE+-"), c.rest[n]) >= 0 {
		n++
	}
	num := c.rest[:n]
	c.rest = c.rest[n:]
	if us, ok := plainMicros(num); ok {
		return us, nil
	}
	if !json.Valid(num) {
		return 0, errEvent
	}
	f, err := strconv.ParseFloat(string(num), 64)
	if err != nil || f < 0 || f > maxSeconds {
		return 0, fmt.Errorf("the time %q is out of range", num)
	}
	return int64(math.Round(f * 1e6)), nil
}

// plainMicros reads "12.345678" exactly; other spellings are left to ParseFloat.
func plainMicros(num []byte) (int64, bool) {
	point := bytes.IndexByte(num, '.')
	if point < 1 || point > 9 || len(num) != point+7 || num[0] == '0' && point > 1 {
		return 0, false
	}
	var us int64
	for i, b := range num {
		if i == point {
			continue
		}
		if b < '0' || b > '9' {
			return 0, false
		}
		us = us*10 + int64(b-'0')
	}
	return us, true
}

func (c *cursor) code() (string, error) {
	var buf [16]byte
	code, err := c.text(buf[:0])
	if err != nil {
		return "", err
	}
	for _, known := range [...]string{Output, Input, Resize, Marker, Exit} {
		if string(code) == known {
			return known, nil
		}
	}
	return string(code), nil
}

// text reads a JSON string and appends what it says to dst.
func (c *cursor) text(dst []byte) ([]byte, error) {
	if !c.take('"') {
		return dst, errEvent
	}
	for {
		n := plainLen(c.rest)
		dst = append(dst, c.rest[:n]...)
		if n == len(c.rest) {
			return dst, errEvent
		}
		b := c.rest[n]
		c.rest = c.rest[n+1:]
		switch b {
		case '"':
			return dst, nil
		case '\\':
		default:
			return dst, errEvent // a control
		}
		var err error
		if dst, err = c.escape(dst); err != nil {
			return dst, err
		}
	}
}

// plainLen is how much of p stands for itself in a JSON string.
func plainLen(p []byte) int {
	i := 0
	for len(p)-i >= 8 {
		if m := special(binary.LittleEndian.Uint64(p[i:])); m != 0 {
			return i + bits.TrailingZeros64(m)/8
		}
		i += 8
	}
	for i < len(p) && escapes[p[i]].n == 1 {
		i++
	}
	return i
}

// escape reads what follows a backslash, RFC 8259 section 7.
func (c *cursor) escape(dst []byte) ([]byte, error) {
	if len(c.rest) == 0 {
		return dst, errEvent
	}
	b := c.rest[0]
	c.rest = c.rest[1:]
	if i := bytes.IndexByte([]byte(`"\/bfnrt`), b); i >= 0 {
		return append(dst, "\"\\/\b\f\n\r\t"[i]), nil
	}
	if b != 'u' {
		return dst, errEvent
	}
	r, ok := c.hex4()
	if !ok {
		return dst, errEvent
	}
	if utf16.IsSurrogate(r) {
		r = c.surrogate(r)
	}
	return utf8.AppendRune(dst, r), nil
}

// surrogate joins r with the escape that follows; half a pair is U+FFFD, as in
// encoding/json.
func (c *cursor) surrogate(r rune) rune {
	saved := c.rest
	if bytes.HasPrefix(c.rest, []byte(`\u`)) {
		c.rest = c.rest[2:]
		if low, ok := c.hex4(); ok {
			if both := utf16.DecodeRune(r, low); both != utf8.RuneError {
				return both
			}
		}
	}
	c.rest = saved
	return utf8.RuneError
}

func (c *cursor) hex4() (rune, bool) {
	if len(c.rest) < 4 {
		return 0, false
	}
	var r rune
	for _, b := range c.rest[:4] {
		switch {
		case b >= '0' && b <= '9':
			r = r<<4 | rune(b-'0')
		case b|0x20 >= 'a' && b|0x20 <= 'f':
			r = r<<4 | rune(b|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	c.rest = c.rest[4:]
	return r, true
}
