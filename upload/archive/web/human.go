// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
)

func humanBytes(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	v, units := float64(n)/unit, "KMGTPE"
	for v >= unit && len(units) > 1 {
		v, units = v/unit, units[1:]
	}
	return strings.Replace(fmt.Sprintf("%.1f %ciB", v, units[0]), ".0 ", " ", 1)
}

// humanDuration is for a table: "3.2 s", "12:05", "2:03:04".
func humanDuration(d time.Duration) string {
	switch {
	case d < 0:
		return ""
	case d < time.Minute:
		return trimZeros(fmt.Sprintf("%.1f", d.Seconds())) + " s"
	}
	return clock(d)
}

// clock is a moment within a recording: "0:07", "12:05", "2:03:04".
func clock(d time.Duration) string {
	t := int(d.Seconds())
	if t >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", t/3600, t/60%60, t%60)
	}
	return fmt.Sprintf("%d:%02d", t/60, t%60)
}

func trimZeros(s string) string { return strings.TrimSuffix(strings.TrimRight(s, "0"), ".") }

// visible replaces what would not be seen, or would turn the text around it:
// control characters, and the marks that make text run from right to left.
// The characters themselves can do no harm in a text node; the reader's eye is
// what is protected.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r < 0x20:
			return 0x2400 + r // "symbol for ..."
		case r == 0x7f:
			return 0x2421
		case unicode.Is(unicode.Cc, r), unicode.Is(unicode.Bidi_Control, r), r == 0xfeff, r >= 0x200b && r <= 0x200d:
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// span is a part of a line; Hit when it is one of the words looked for.
type span struct {
	Text string
	Hit  bool
}

// marks divides a line at the words, in any case, as visible text.
func marks(line, words string) (spans []span) {
	var quoted []string
	for _, w := range searchable(words) {
		quoted = append(quoted, regexp.QuoteMeta(strings.TrimSuffix(w, "*")))
	}
	if len(quoted) == 0 {
		return []span{{Text: visible(line)}}
	}
	at := 0
	for _, m := range regexp.MustCompile("(?i)"+strings.Join(quoted, "|")).FindAllStringIndex(line, -1) {
		if m[0] > at {
			spans = append(spans, span{Text: visible(line[at:m[0]])})
		}
		spans = append(spans, span{visible(line[m[0]:m[1]]), true})
		at = m[1]
	}
	return append(spans, span{Text: visible(line[at:])})
}
