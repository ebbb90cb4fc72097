// SPDX-License-Identifier: AGPL-3.0-or-later

package keys_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"castgate/keys/known"
	"castgate/keys/prepared"
	"castgate/keys/settings"
)

// prepared is the finished answer for an account, written anew.
func (w *world) prepared(account string) string {
	w.t.Helper()
	w.restart()
	w.svc.ConfigID = "configuration"
	if err := w.svc.Prepare(account); err != nil {
		w.t.Fatal(err)
	}
	body, _ := os.ReadFile(filepath.Join(w.conf.Cache.Dir, prepared.Name(account)))
	return string(body)
}

// TestANoThatAPreparedAnswerHasNotHeard: one of two who open an account is out,
// and what is known of the other is as old as before.
func TestANoThatAPreparedAnswerHasNotHeard(t *testing.T) {
	w := newWorld(t)
	w.conf.Accounts["pair"] = settings.Account{Logins: []string{"alice-gh:11", "dave:31"}}
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	if got := w.prepared("pair"); !strings.Contains(got, " dave ") {
		t.Fatalf("got %q", got)
	}
	w.later(time.Second)
	if _, err := w.svc.Known.Remember("dave", known.Person{Login: "dave", Teams: map[string]known.State{"developers": known.None}}, w.clock); err != nil {
		t.Fatal(err)
	}
	if got := w.prepared("pair"); strings.Contains(got, " dave ") || !strings.Contains(got, " alice-gh ") {
		t.Errorf("got %q", got)
	}
}
