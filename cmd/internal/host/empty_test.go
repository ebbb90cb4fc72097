// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"path/filepath"
	"strings"
	"testing"
)

// Whatever did not answer, or answered nothing, is not "as it should be".
func TestNothingIsNoGoodAnswer(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	put(t, filepath.Join(dir, "systemctl"), "#!/bin/sh\ntest \"$1\" != list-units\n", 0o755)
	put(t, filepath.Join(dir, "getent"), "#!/bin/sh\nexit 2\n", 0o755)
	h := &Host{ctx: t.Context()}
	if got := h.sshdConfig(); len(got) != 1 || got[0].Level != Fail {
		t.Errorf("no version of sshd's: %v", got)
	}
	if got := h.tokens(); len(got) > 0 && got[0].Level == OK && h.sshdErr != nil {
		t.Errorf("sshd was not asked: %v", got)
	}
	for _, tt := range []struct {
		s    settings
		want bool
	}{
		{settings{"usepam": {"yes"}}, true}, // a directory's password
		{settings{"usepam": {"no"}}, false},
		{nil, false},
	} {
		if got := hasPassword("nobody-of-this-host", tt.s); got != tt.want {
			t.Errorf("an account that shadow(5) does not have, with %v: %v", tt.s, got)
		}
	}
	if err := settings(nil).complete(); err == nil {
		t.Error("no settings at all are complete")
	}
	p := &plan{accounts: []Account{{Name: "root"}}}
	if err := p.inForce(nil); err == nil || !strings.Contains(err.Error(), "not be in force") {
		t.Errorf("settings that nobody told are in force: %v", err)
	}
	if err := (&plan{}).inForce(nil); err == nil {
		t.Error("castgate is in force for no account at all")
	}
}
