// SPDX-License-Identifier: AGPL-3.0-or-later

package pubkey

import (
	"strings"
	"testing"
)

func TestCheckOptions(t *testing.T) {
	for s, ok := range map[string]bool{
		"":                                 true,
		"restrict":                         true,
		"Restrict,PTY":                     true,
		`restrict,expiry-time="20300101Z"`: true,
		`from="10.0.0.0/8,!10.1.0.0/16"`:   true,
		`permitopen="127.0.0.1:80"`:        true,
		"restrictt":                        false,
		"restrict,":                        false,
		",restrict":                        false,
		"restrict pty":                     false,
		"restrict\npty":                    false,
		`command="x"`:                      false,
		`environment="A=b"`:                false,
		"cert-authority":                   false,
		`from=10.0.0.0/8`:                  false,
		`from="10.0.0.0/8`:                 false,
		`from=""`:                          false,
		`from="a\"b"`:                      false,
		"from=\"a\nb\"":                    false,
		`restrict="x"`:                     false,
		"from":                             false,
		`expiry-time="1"x`:                 false,
		`restrict ssh-rsa AAAA`:            false,
	} {
		if err := CheckOptions(s); (err == nil) != ok {
			t.Errorf("%q: %v", s, err)
		}
	}
}

// FuzzOptions: options that are taken never end the line they stand in, nor
// leave a quote open.
func FuzzOptions(f *testing.F) {
	f.Add(`restrict,pty,expiry-time="20300101"`)
	f.Add(`from="a`)
	f.Add("restrict\n")
	f.Fuzz(func(t *testing.T, s string) {
		if CheckOptions(s) != nil {
			return
		}
		outside := false
		for i, part := range strings.Split(s, `"`) {
			if outside = i%2 == 0; outside && strings.ContainsAny(part, " \t") {
				t.Errorf("%q has a blank outside quotes", s)
			}
		}
		if !outside || strings.ContainsAny(s, "\r\n\x00") {
			t.Errorf("%q was taken", s)
		}
	})
}
