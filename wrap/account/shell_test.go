// SPDX-License-Identifier: AGPL-3.0-or-later

package account

import "testing"

func TestRealShell(t *testing.T) {
	all := func(string) bool { return true }
	none := func(string) bool { return false }
	shells := map[string]string{"alice": "/usr/bin/zsh"}
	for _, tt := range []struct {
		user, passwd string
		exists       func(string) bool
		want         string
	}{
		{"alice", "/usr/bin/castgate-wrap", all, "/usr/bin/zsh"},
		{"bob", "/usr/bin/castgate-wrap", all, "/bin/bash"},
		{"bob", "/usr/bin/castgate-wrap", none, "/bin/sh"},
		{"alice", "/bin/dash", all, "/bin/dash"},
		{"bob", "", all, "/bin/sh"},
	} {
		if got := RealShell(Account{Name: tt.user, Shell: tt.passwd}, shells, tt.exists); got != tt.want {
			t.Errorf("%s %q: got %q, want %q", tt.user, tt.passwd, got, tt.want)
		}
	}
}
