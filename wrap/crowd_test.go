// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"castgate/packaging/hosttest"
)

// TestAnothersCrowd: somebody who fills the host with descriptors and logs in
// all the time is refused themselves where the guard is required, and keeps
// nobody else out. The header says whose files were not searched.
func TestAnothersCrowd(t *testing.T) {
	h := newHost(t, "/bin/bash")
	hosttest.StartGuard(t)
	mallory := hosttest.AddUser(t, "mallory", "/bin/bash")
	mallory.Authorize(t, h.key)
	hosttest.Crowd(t, mallory, h.Sshd, h.key)
	theirs := fmt.Sprintf(" %d", mallory.UID) // the last of those not searched
	for _, tt := range []struct {
		guard    string
		logins   int
		mallorys int // status
	}{{"require", 30, 254}, {"use", 18, 0}} {
		hosttest.Config(t, "wrap", "guard: "+tt.guard+"\nlimits: {free: 1MiB}\n")
		login := func(name string) hosttest.Result {
			return hosttest.StartTerminal(t, h.Ssh(h.key, name, []string{"-tt"}, "true"), 80, 24).Wait()
		}
		if r := login(mallory.Name); r.Status != tt.mallorys {
			t.Errorf("%s: their own: %+v", tt.guard, r)
		}
		for range tt.logins {
			if r := login(h.user.Name); r.Status != 0 {
				t.Errorf("%s: another: %+v", tt.guard, r)
			}
		}
	}
	files, _ := filepath.Glob("/var/spool/castgate/incoming/*.cast")
	others, own := 0, 0
	for _, path := range files {
		s := hosttest.ReadRecording(t, path).Header.Session
		switch {
		case s.User == h.user.Name && strings.HasSuffix(s.Guard, theirs):
			others++
		case s.User == h.user.Name:
			t.Errorf("another's header says of the guard: %q", s.Guard)
		case strings.HasSuffix(s.Guard, theirs):
			own++
		}
	}
	if others != 48 || own == 0 {
		t.Errorf("%d of another's recordings tell of it, and %d of their own", others, own)
	}
	clear(t)
}
