// SPDX-License-Identifier: AGPL-3.0-or-later

package archive

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Readings returns what else a person reads in a line, so that its words are
// found: without the characters that show nothing or could not be decoded, with
// letters in their plain form where they are wide, circled or mathematical, and
// from right to left where an override says so.
func Readings(line string) (others []string) {
	if isASCII(line) {
		return nil
	}
	add := func(s string) {
		if s != line && !slices.Contains(others, s) {
			others = append(others, s)
		}
	}
	add(plainLetters(line))
	if i := strings.IndexRune(line, rightToLeft); i >= 0 {
		add(plainLetters(turned(line)))
	}
	return others
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func plainLetters(s string) string {
	return strings.Map(func(r rune) rune {
		if showsNothing(r) {
			return -1
		}
		return r
	}, norm.NFKC.String(strings.Map(func(r rune) rune {
		if showsNothing(r) {
			return -1
		}
		return r
	}, s)))
}

// showsNothing is about characters within words: formats, variation selectors,
// fillers, and the sign for bytes that are no UTF-8.
func showsNothing(r rune) bool {
	switch r {
	case 0x034f, 0x115f, 0x1160, 0x17b4, 0x17b5, 0x2800, 0x3164, 0xffa0, utf8.RuneError:
		return true
	}
	return unicode.In(r, unicode.Cf, unicode.Variation_Selector)
}

const (
	rightToLeft = '\u202e' // override
	popFormat   = '\u202c' // its end
)

// turned reverses what overrides turn.
func turned(s string) string {
	var b strings.Builder
	for found := true; found; {
		var before, inner string
		before, s, found = strings.Cut(s, string(rightToLeft))
		b.WriteString(before)
		if found {
			inner, s, _ = strings.Cut(s, string(popFormat))
			letters := []rune(inner)
			slices.Reverse(letters)
			b.WriteString(string(letters))
		}
	}
	return b.String()
}
