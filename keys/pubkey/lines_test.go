// SPDX-License-Identifier: AGPL-3.0-or-later

package pubkey

import (
	"strings"
	"testing"
)

// FuzzEmergencyLine: what is found in a line is the key that stands in it, and the
// line opens for no other.
func FuzzEmergencyLine(f *testing.F) {
	f.Add(`command="echo ssh-ed25519 AAAA" ` + testKey("octocat") + " comment")
	f.Add("# " + testKey("octocat"))
	f.Add("restrict,pty\t" + testKey("octocat"))
	f.Fuzz(func(t *testing.T, line string) {
		for _, l := range ReadLines("keys", []byte(line)) {
			if strings.HasPrefix(l.Text, "#") {
				t.Errorf("%q: a comment gave %q", line, l.Key)
			}
			if again := ReadLines("keys", []byte(l.Text)); len(again) != 1 || !again[0].Key.Equal(l.Key) {
				t.Errorf("%q gave %q, and its text %+v", line, l.Key, again)
			}
			if strings.ContainsAny(l.Text, "\n") {
				t.Errorf("%q gave two lines: %q", line, l.Text)
			}
		}
	})
}
