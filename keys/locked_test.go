// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
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
					if err := s.setPin(seenDir, account, pin{login: login, id: int64(id), url: s.url()}); err != nil {
						t.Error(err)
					}
				})
			}
		}
		both.Wait()
		if all, err := w.svc.pins(seenDir, account); err != nil || len(all) != 3 {
			t.Fatalf("%v, %v", all, err)
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
	file := filepath.Join(w.conf.Cache.Dir, hotName("octocat"))
	unlock, err := s.lockPins("octocat") // a change of the pins is on its way
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- s.Prepare("octocat") }()
	time.Sleep(50 * time.Millisecond) // it waits, or it is too early
	if err := os.WriteFile(filepath.Join(w.conf.State, peopleDir, "octocat"), []byte("dave:31 "+s.url()+" opens\n"), 0o644); err != nil {
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
	err := s.setPin(seenDir, "octocat", pin{login: "octocat", id: 1, url: s.url()})
	if !errors.As(err, &hint) || !strings.Contains(hint.Hint(), "install -d -o castgate-keys "+w.conf.State+"/seen") {
		t.Errorf("got %v", err)
	}
}
