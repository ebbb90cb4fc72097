// SPDX-License-Identifier: AGPL-3.0-or-later

package screen

import (
	"unicode"

	"golang.org/x/text/width"
)

// cells returns how many cells a character takes: 0 for one that combines with
// the character before it, 2 for East Asian wide ones and emoji (UAX #11).
func cells(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case r >= 0x1160 && r <= 0x11ff: // Hangul vowels and finals join the initial
		return 0
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}
