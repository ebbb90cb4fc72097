// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"castgate/keys/settings"
	"castgate/packaging/hosttest"
)

// The key of a trial login opens its account, no other, and only while the trial
// can still be going on; and only root can have put it there.
func TestTrialKey(t *testing.T) {
	hosttest.Need(t)
	h := newHost(t)
	file := filepath.Join(settings.TrialDir, "octocat")
	if err := os.MkdirAll(settings.TrialDir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(settings.TrialDir) })
	other, rescue := strings.Fields(key("other")), strings.Fields(key("rescue"))
	asked := func(what, account string, key []string, want bool) {
		t.Helper()
		out, errs, status := h.run(account, key[0], key[1])
		if got := strings.Contains(out, key[1]); got != want || status != 0 {
			t.Errorf("%s: %v, status %d\n%s", what, got, status, errs)
		}
	}
	opens := func(what, account string, want bool) { t.Helper(); asked(what, account, other, want) }
	opens("no trial", "octocat", false)
	if err := os.WriteFile(file, []byte(key("other")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	opens("a trial", "octocat", true)
	opens("another account", "refresh", false)
	if out, _, _ := h.run("explain", "-json", "octocat"); !strings.Contains(out, `"emergency":0`) {
		t.Errorf("who gets in is told with the trial's key: %s", out)
	}
	// The account's emergency file is what it always is, and no less careful.
	h.write("emergency", key("rescue")+"\n")
	h.rename("teams: [developers]\naccounts", fmt.Sprintf("emergency: {octocat: %q}\nteams: [developers]\naccounts", filepath.Join(h.dir, "emergency")))
	asked("an emergency key during a trial", "octocat", rescue, true)
	opens("a trial of an account with an emergency file", "octocat", true)
	if err := os.Chmod(filepath.Join(h.dir, "emergency"), 0o666); err != nil {
		t.Fatal(err)
	}
	asked("an emergency file that others may write, during a trial", "octocat", rescue, false)
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(file, old, old); err != nil {
		t.Fatal(err)
	}
	opens("what a trial has left", "octocat", false)
	if err := os.Chtimes(file, time.Now(), time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o666); err != nil {
		t.Fatal(err)
	}
	opens("a file that others may write", "octocat", false)
}
