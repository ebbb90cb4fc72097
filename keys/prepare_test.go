// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// prepared is the finished answer for an account, written anew.
func (w *world) prepared(account string) string {
	w.t.Helper()
	w.restart()
	w.svc.ConfigID = "configuration"
	if err := w.svc.Prepare(account); err != nil {
		w.t.Fatal(err)
	}
	body, _ := os.ReadFile(filepath.Join(w.conf.Cache.Dir, hotName(account)))
	return string(body)
}

// TestANoThatAPreparedAnswerHasNotHeard: one of two who open an account is out,
// and what is known of the other is as old as before.
func TestANoThatAPreparedAnswerHasNotHeard(t *testing.T) {
	w := newWorld(t)
	w.conf.Accounts["pair"] = Account{Logins: []string{"alice-gh:11", "dave:31"}}
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	if got := w.prepared("pair"); !strings.Contains(got, "github:dave") {
		t.Fatalf("got %q", got)
	}
	w.later(time.Second)
	if _, err := w.svc.Cache.remember("dave", Person{Login: "dave", Teams: map[string]State{"developers": None}}, w.clock, w.clock); err != nil {
		t.Fatal(err)
	}
	if got := w.prepared("pair"); strings.Contains(got, "github:dave") || !strings.Contains(got, "github:alice-gh") {
		t.Errorf("got %q", got)
	}
}
