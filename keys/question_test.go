// SPDX-License-Identifier: AGPL-3.0-or-later

package keys_test

import (
	"strings"
	"testing"
)

func TestDecision(t *testing.T) {
	for _, tt := range []struct {
		name, account, key string
		why                string // "" when the account opens
	}{
		{"own login", "octocat", "OctoCat", ""},
		{"own login, capital account", "OCTOCAT", "OctoCat", ""},
		{"own login, any key", "octocat", "", ""},
		{"somebody else's key", "octocat", "bob", "no such key"},
		{"member of a child team", "dave", "dave", ""},
		{"pending", "invited", "invited", "has not accepted the invitation"},
		{"stranger with an account", "stranger", "stranger", "not a member"},
		{"member of a team that gives no own account", "bob", "bob", "not a member"},
		{"shared account", "deploy", "bob", ""},
		{"shared account, second member", "deploy", "carol", ""},
		{"shared account, other team", "deploy", "OctoCat", "not a member of operations"},
		{"renamed account", "alice", "alice-gh", ""},
		{"renamed account is not the namesake's", "alice", "stranger", "no such key"},
		{"system account", "root", "OctoCat", "system account"},
		{"system account from passwd", "daemon", "OctoCat", "system account"},
		{"nobody", "nobody", "OctoCat", "system account"},
		{"path", "../orgs/x", "OctoCat", "not a name"},
		{"empty", "", "OctoCat", "not a name"},
		{"query", "octocat?x=1", "OctoCat", "not a name"},
		{"dotted account is no login", "octo.cat", "OctoCat", "can't be a GitHub login"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			if tt.why == "" {
				w.allows(tt.account, tt.key)
			} else {
				w.refuses(tt.account, tt.key, tt.why)
			}
			for _, c := range w.github.Calls() {
				if strings.Contains(c, "..") || strings.Contains(c, "?x=") || strings.Contains(c, "/user/keys") {
					t.Errorf("GitHub was asked %q", c)
				}
			}
		})
	}
}

func TestLinesAreBuiltNotEchoed(t *testing.T) {
	w := newWorld(t)
	d := w.allows("octocat", "OctoCat")
	if want := testKey("OctoCat") + " github:OctoCat\n"; len(d.Lines) != 1 || d.Lines[0] != want {
		t.Errorf("got %q, want %q", d.Lines, want)
	}
}
