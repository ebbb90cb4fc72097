// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"regexp"
	"testing"
)

var (
	landmark = regexp.MustCompile(`<(?:(nav|main|aside|header|footer)\b|form\b[^>]*\brole="(search)"|(section)\b[^>]*\baria-label=)[^>]*>`)
	labelled = regexp.MustCompile(`\baria-label="([^"]*)"`)
)

// TestLandmarksHaveNamesOfTheirOwn: who jumps from one to the next hears which
// is which (WAI-ARIA: a role that a page has twice needs labels).
func TestLandmarksHaveNamesOfTheirOwn(t *testing.T) {
	s := newSample(t)
	ids := s.fill()
	v := newVisitor(t, s.page(tokenAuth(t, testToken))).signIn(testToken)
	for _, path := range []string{"/", "/search", "/search?q=nginx", "/r/" + ids["main"], "/nothing-here"} {
		_, text := v.get(path)
		seen, n := map[string]bool{}, 0
		for _, m := range landmark.FindAllStringSubmatch(text, -1) {
			name := m[1] + m[2] + m[3]
			if l := labelled.FindStringSubmatch(m[0]); l != nil {
				name += " " + l[1]
			}
			if seen[name] {
				t.Errorf("%s has two landmarks %q", path, name)
			}
			seen[name] = true
			n++
		}
		if n < 2 {
			t.Errorf("%s: only %d landmarks", path, n)
		}
	}
}
