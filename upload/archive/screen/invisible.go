// SPDX-License-Identifier: AGPL-3.0-or-later

package screen

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Characters that no terminal shows can spell words: tags are a copy of ASCII
// (U+E0020 to U+E007E), variation selectors a way to write bytes
// (U+FE00 to U+FE0F and U+E0100 to U+E01EF). Both pass through copying and are
// kept with the character before them.

const (
	// minInvisible is how many in a row are more than an emoji has.
	minInvisible = 4
	// maxFlag is how many tags the flag of a part of a country has.
	maxFlag   = 7
	blackFlag = '\U0001f3f4'
)

// emit gives a line out, and what is spelled in it with invisible characters as
// one of its own.
func (s *Screen) emit(l Line) {
	s.Lines(l)
	if utf8.RuneCountInString(l.Text) == len(l.Text) {
		return // quick, and most lines are ASCII
	}
	for _, begin := range [...]string{"\xf3\xa0", "\xef\xb8", "\xef\xbb", "\xe2\x80", "\xe2\x81"} { // of the characters of invisible
		if strings.Count(l.Text, begin) < minInvisible {
			continue
		}
		for _, text := range spelled(l.Text) {
			s.Lines(Line{At: l.At, Kind: l.Kind, Hidden: Invisible, Text: text})
		}
		return
	}
}

// spelled returns what the runs of invisible characters say.
func spelled(text string) (found []string) {
	var run []byte
	n, before := 0, rune(0)
	end := func() {
		flag := before == blackFlag && n <= maxFlag
		if n >= minInvisible && !flag {
			found = append(found, spelling(run, n))
		}
		run, n = run[:0], 0
	}
	for _, r := range text {
		if b, ok := invisible(r); ok {
			n++
			run = append(run, b...)
			continue
		}
		end()
		before = r
	}
	end()
	return found
}

// spelling is a run's text, or how much there is when it is none.
func spelling(run []byte, n int) string {
	if text := string(run); utf8.Valid(run) && strings.TrimSpace(text) != "" && !strings.ContainsFunc(text, func(r rune) bool { return r < 0x20 || r >= 0x7f && r < 0xa0 }) {
		return text
	}
	return fmt.Sprintf("[%d invisible characters]", n)
}

// invisible returns what r stands for when it shows nothing.
func invisible(r rune) (says []byte, ok bool) {
	switch {
	case r >= 0xe0020 && r <= 0xe007e:
		return []byte{byte(r - 0xe0000)}, true
	case r >= 0xfe00 && r <= 0xfe0f:
		return []byte{byte(r - 0xfe00)}, true
	case r >= 0xe0100 && r <= 0xe01ef:
		return []byte{byte(r - 0xe0100 + 16)}, true
	case r >= 0xe0000 && r < 0xe1000, r >= 0x200b && r <= 0x200d, r == 0x2060, r == 0xfeff:
		return nil, true
	}
	return nil, false
}
