// SPDX-License-Identifier: AGPL-3.0-or-later

package settings

import (
	"net/url"
	"path"
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	for _, tt := range []struct {
		s                    string
		login, slug, account bool
	}{
		{"octocat", true, true, true},
		{"OctoCat", true, true, true},
		{"octo-cat", true, true, true},
		{"octo_acme", true, true, true}, // enterprise managed user
		{"old-", true, true, true},      // GitHub gave such logins once
		{"0", true, true, true},
		{"a.b", false, true, true},
		{"_apt", false, false, true},
		{"host$", false, false, true},
		{"user@example.org", false, false, true},
		{strings.Repeat("a", 39), true, true, true},
		{strings.Repeat("a", 40), false, true, true},
		{"", false, false, false},
		{".", false, false, false},
		{"..", false, false, false},
		{"-x", false, false, false},
		{"a/b", false, false, false},
		{"a b", false, false, false},
		{"a\x00b", false, false, false},
		{"ä", false, false, false},
		{"\u212a", false, false, false}, // the Kelvin sign, whose lower case is k
	} {
		if got := CheckLogin(tt.s) == nil; got != tt.login {
			t.Errorf("login %q: %v", tt.s, got)
		}
		if got := CheckSlug(tt.s) == nil; got != tt.slug {
			t.Errorf("slug %q: %v", tt.s, got)
		}
		if got := ValidAccount(tt.s); got != tt.account {
			t.Errorf("account %q: %v", tt.s, got)
		}
	}
}

// FuzzNames: a name that is taken stays one element of a URL's path and of a
// file's, and means itself there.
func FuzzNames(f *testing.F) {
	for _, s := range []string{"octocat", "../orgs/x", "a?x=1", "a#b", "a%2fb", "a;b", "a\\b", "a.b", "con"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if ValidAccount(s) && path.Join("accounts", s) != "accounts/"+s {
			t.Errorf("account %q leaves its directory", s)
		}
		if CheckLogin(s) != nil && CheckSlug(s) != nil {
			return
		}
		u, err := url.Parse("https://api.github.com/users/" + s + "/keys")
		if err != nil || u.Path != "/users/"+s+"/keys" || path.Clean(u.Path) != u.Path || u.RawQuery != "" || u.Fragment != "" {
			t.Errorf("%q makes the URL %v, %v", s, u, err)
		}
	})
}
