// SPDX-License-Identifier: AGPL-3.0-or-later

package keys_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"castgate/keys/owners"
	"castgate/keys/prepared"
)

// TestTwoFirstLoginsAtOnce: neither's id is lost.
func TestTwoFirstLoginsAtOnce(t *testing.T) {
	w := newWorld(t)
	w.allows("octocat", "OctoCat") // makes the cache
	for i := range 50 {
		account := fmt.Sprint("shared", i)
		var both sync.WaitGroup
		for id, login := range []string{"", "bob", "carol", "dave"} {
			if s := w.process(); login != "" {
				both.Go(func() {
					if err := s.Owners.See(account, owners.Pin{Login: login, ID: int64(id), URL: s.Known.Origin.URL}); err != nil {
						t.Error(err)
					}
				})
			}
		}
		both.Wait()
		if all, err := os.ReadFile(filepath.Join(w.conf.State, "seen", account)); err != nil || strings.Count(string(all), "\n") != 3 {
			t.Fatalf("%s, %v", all, err)
		}
	}
}

// TestAPinCountsAtOnce: a login that read whose the account was before does not
// write it down afterwards.
func TestAPinCountsAtOnce(t *testing.T) {
	w := newWorld(t)
	w.allows("octocat", "OctoCat")
	w.allows("octocat", "OctoCat")
	s := w.process()
	s.ConfigID = "configuration"
	file := filepath.Join(w.conf.Cache.Dir, prepared.Name("octocat"))
	unlock, err := s.Owners.Lock("octocat") // a change of the pins is on its way
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- s.Prepare("octocat") }()
	time.Sleep(50 * time.Millisecond) // it waits, or it is too early
	if err := os.WriteFile(filepath.Join(w.conf.State, "people", "octocat"), []byte("dave:31 "+s.Known.Origin.URL+" opens\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	unlock()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if body, err := os.ReadFile(file); err == nil && strings.Contains(string(body), "github:OctoCat") {
		t.Errorf("prepared %s", body)
	}
}

// TestAStateThatNobodyMade says how to make it.
func TestAStateThatNobodyMade(t *testing.T) {
	w := newWorld(t)
	w.conf.State = filepath.Join(t.TempDir(), "elsewhere")
	s := w.process()
	var hint interface{ Hint() string }
	err := s.Owners.See("octocat", owners.Pin{Login: "octocat", ID: 1, URL: s.Known.Origin.URL})
	if !errors.As(err, &hint) || !strings.Contains(hint.Hint(), "install -d -o castgate-keys "+w.conf.State+"/seen") {
		t.Errorf("got %v", err)
	}
}
