// SPDX-License-Identifier: AGPL-3.0-or-later

package keys_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"castgate/keys/githubtest"

	"castgate/keys/pubkey"
)

// What a refresh heard is not lost to whoever asks something else about the same
// person while it runs.

// rekey takes a key away on GitHub, and adds another.
func rekey(login string) func(*githubtest.State) {
	return func(s *githubtest.State) {
		u := s.Users[login]
		u.Keys = []string{testKey("another of " + login)}
		s.Users[login] = u
	}
}

// refreshWhile refreshes, and does something between its first call and its end.
func (w *world) refreshWhile(do func()) error {
	w.t.Helper()
	done := false
	w.github.Break(func(http.ResponseWriter, *http.Request) bool {
		if !done {
			done = true
			w.later(time.Second)
			do()
		}
		return false
	})
	return w.refresh()
}

// ask asks about a login as sshd does, beside what else is going on.
func (w *world) ask(account, keyOf string) {
	k, _ := pubkey.ParseLine(testKey(keyOf))
	_, _ = w.process().Decide(context.Background(), account, &k)
}

func TestWhatARefreshHeardIsNotLost(t *testing.T) {
	for name, gone := range map[string]func(*githubtest.State){
		"left":      leave("operations", "bob"),
		"other key": rekey("bob"),
		"hashed":    suspend("operations", "bob"),
		"suspended": func(s *githubtest.State) { u := s.Users["bob"]; u.Suspended = true; s.Users["bob"] = u },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.people("bob")
			if err := w.refresh(); err != nil {
				t.Fatal(err)
			}
			w.allows("deploy", "bob")
			w.change(gone)
			for range 3 { // "developers" is a no, which is asked for again and again
				w.later(6 * time.Minute)
				if err := w.refreshWhile(func() { w.ask("bob", "bob") }); err != nil {
					t.Fatal(err)
				}
			}
			w.github.Break(fault("", status(500)))
			w.later(time.Minute)
			if d, _ := w.decide("deploy", "bob"); d.Allowed() {
				t.Errorf("the old yes is kept alive: %v", d.Steps)
			}
			w.allows("deploy", "carol")
		})
	}
}

// TestARefreshThatCouldNotWriteAPerson does not say that it has seen them.
func TestARefreshThatCouldNotWriteAPerson(t *testing.T) {
	w := newWorld(t)
	w.conf.GitHub.Timeout = time.Second
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	w.change(leave("operations", "bob"))
	w.later(6 * time.Minute)
	unlock, err := w.process().Known.Lock(context.Background(), "login-bob")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.refresh(); err == nil {
		t.Error("nobody is told")
	}
	unlock()
	w.refuses("deploy", "bob", "")
	w.later(6 * time.Minute)
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	w.github.Break(fault("", status(500)))
	w.later(time.Minute)
	if d, _ := w.decide("deploy", "bob"); d.Allowed() {
		t.Errorf("let in: %v", d.Steps)
	}
}
