// SPDX-License-Identifier: AGPL-3.0-or-later

package terminal

import (
	"strings"
	"testing"
)

func TestMask(t *testing.T) {
	if got := string(mask([]byte("s3cret\r\x7f\n"))); got != "******\r*\n" {
		t.Errorf("got %q", got)
	}
}

func TestLastLine(t *testing.T) {
	long := strings.Repeat("x", 600)
	for _, tt := range []struct {
		name  string
		shown []string
		want  string
		asks  bool
	}{
		{"nothing", nil, "", false},
		{"a prompt", []string{"$ "}, "$ ", false},
		{"a password", []string{"$ sudo id\r\n[sudo] pass", "word for a: "}, "[sudo] password for a: ", true},
		{"with stars", []string{"Password: ", "*", "*"}, "Password: **", true},
		{"answered", []string{"Password: ****", "\r\n$ "}, "$ ", false},
		{"a word within another", []string{"spinning"}, "spinning", false},
		{"a long line", []string{"Password: ", long}, long[:512], false},
		{"long bit by bit", []string{long[:300], long[:300], "PIN: "}, long[:507] + "PIN: ", true},
		{"exactly full", []string{long[:500], "0123456789ab"}, long[:500] + "0123456789ab", false},
	} {
		var l lastLine
		for _, s := range tt.shown {
			l.add([]byte(s))
		}
		if got := string(l.buf[:l.n]); got != tt.want || l.asksForSecret() != tt.asks {
			t.Errorf("%s: %q, asks %v", tt.name, got, l.asksForSecret())
		}
	}
}
