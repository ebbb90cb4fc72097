// SPDX-License-Identifier: AGPL-3.0-or-later

package keys_test

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"castgate/keys/githubtest"

	"castgate/keys/known"
	"castgate/keys/pubkey"
	"castgate/keys/settings"
)

// calls counts the requests since the last look.
func (w *world) calls() int {
	n := len(w.github.Calls())
	w.github.Reset()
	return n
}

func TestCallsPerLogin(t *testing.T) {
	w := newWorld(t)
	w.allows("octocat", "OctoCat")
	if n := w.calls(); n != 3 {
		t.Errorf("the first question made %d calls, want membership, id and keys", n)
	}
	w.allows("octocat", "OctoCat")
	w.refuses("octocat", "bob", "no such key")
	if n := w.calls(); n != 0 {
		t.Errorf("the second question made %d calls", n)
	}
	w.later(6 * time.Minute)
	w.allows("octocat", "OctoCat")
	if used := w.github.Used(); used != 0 {
		t.Errorf("asking again used %d of the limit, want only 304s: %q", used, w.github.Calls())
	}
}

// TestSingleFlight: many processes ask at once at a cold cache, one calls.
func TestSingleFlight(t *testing.T) {
	for _, tt := range []struct {
		account, key string
		calls        int
	}{
		{"octocat", "OctoCat", 3}, // membership, id, keys
		{"deploy", "bob", 6},      // a try at GraphQL, the list, two members and their keys
	} {
		w := newWorld(t)
		if tt.account == "deploy" {
			w.conf.Teams = nil // whose lists would be asked for as well
			w.conf.Accounts = map[string]settings.Account{"deploy": {Teams: []string{"operations"}}}
		}
		var wg sync.WaitGroup
		for range 10 {
			svc := w.process()
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
				defer cancel()
				k, _ := pubkey.ParseLine(testKey(tt.key))
				if d, err := svc.Decide(ctx, tt.account, &k); err != nil || !d.Allowed() {
					t.Errorf("%q refused: %v %v", tt.account, d.Why, err)
				}
			})
		}
		wg.Wait()
		if got := w.github.Calls(); len(got) != tt.calls {
			t.Errorf("%q: ten processes made %d calls, want %d: %q", tt.account, len(got), tt.calls, got)
		}
	}
}

func TestNegativeAnswersAreShort(t *testing.T) {
	w := newWorld(t)
	w.refuses("stranger", "stranger", "not a member")
	w.calls()
	w.later(29 * time.Second)
	w.refuses("stranger", "stranger", "not a member")
	if n := w.calls(); n != 0 {
		t.Errorf("%d calls within 30 s", n)
	}
	w.change(func(s *githubtest.State) {
		enrol(s, "developers", githubtest.Member{Login: "stranger", ID: 99, State: "active"})
	})
	w.later(2 * time.Second)
	w.allows("stranger", "stranger")
}

// TestARestAfterAFailure: a dead GitHub costs one login its deadline.
func TestARestAfterAFailure(t *testing.T) {
	w := newWorld(t)
	w.conf.GitHub.Timeout = 200 * time.Millisecond
	w.allows("octocat", "OctoCat")
	w.later(6 * time.Minute)
	var asked atomic.Int32
	w.github.Break(fault("", func(rw http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		hang(rw, r)
	}))
	w.allows("octocat", "OctoCat")
	for range 5 {
		w.allows("octocat", "OctoCat")
		w.failsAs("alice", "alice-gh", known.Broken)
		w.later(time.Second)
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("%d calls; after the first there should be a rest", n)
	}
	w.later(10 * time.Second)
	w.failsAs("alice", "alice-gh", known.Broken) // has nothing else, so it asks sooner
	if n := asked.Load(); n != 2 {
		t.Errorf("%d calls after the short rest, want 2", n)
	}
}

// TestWhatWasMendedWorksSoon: a failure that was quick costs little to repeat.
func TestWhatWasMendedWorksSoon(t *testing.T) {
	w := newWorld(t)
	w.allows("octocat", "OctoCat")
	w.later(6 * time.Minute)
	w.write(w.conf.GitHub.TokenFile, "ghp_wrong")
	w.failsAs("alice", "alice-gh", known.BadToken)
	w.calls()
	w.failsAs("alice", "alice-gh", known.BadToken)
	w.allows("octocat", "OctoCat")
	if n := w.calls(); n != 0 {
		t.Errorf("%d calls at once after a failure", n)
	}
	w.issue(testToken)
	w.later(3 * time.Second)
	w.allows("alice", "alice-gh")
	if d := w.allows("octocat", "OctoCat"); d.Source != "github" { // alice's answer ended the rest
		t.Errorf("answered from %q", d.Source)
	}
}

func TestNotBeforeIsKeptForAllProcesses(t *testing.T) {
	w := newWorld(t)
	w.github.Break(fault("", status(429, "Retry-After", "600")))
	w.failsAs("octocat", "OctoCat", known.Limited)
	w.github.Break(nil)
	w.calls()
	w.later(9 * time.Minute)
	w.failsAs("octocat", "OctoCat", known.Limited)
	w.failsAs("alice", "alice-gh", known.Limited)
	w.restart()
	if err := w.svc.Refresh(context.Background()); !known.Is(err, known.Limited) {
		t.Errorf("refresh: %v", err)
	}
	if n := w.calls(); n != 0 {
		t.Errorf("%d calls before GitHub allowed them", n)
	}
	w.later(time.Minute)
	w.allows("octocat", "OctoCat")
}

func TestANewTokenDoesNotBreakETags(t *testing.T) {
	w := newWorld(t)
	w.allows("octocat", "OctoCat")
	w.issue("ghp_another")
	w.later(6 * time.Minute)
	w.calls()
	if d := w.allows("octocat", "OctoCat"); d.Source != "github" {
		t.Errorf("answered from %q", d.Source)
	}
	for _, c := range w.github.Calls() {
		if !strings.HasSuffix(c, " 200") {
			t.Errorf("with a new token: %s", c)
		}
	}
	w.change(func(s *githubtest.State) {
		s.Users["OctoCat"] = githubtest.User{ID: 583231, Keys: []string{testKey("new")}}
	})
	w.later(6 * time.Minute)
	w.allows("octocat", "new")
	w.issue(testToken) // and back: the old entries are of the old answers
	w.later(6 * time.Minute)
	w.allows("octocat", "new")
}

// TestDamagedCache: whatever is in the files, a login works or is asked anew.
func TestDamagedCache(t *testing.T) {
	for _, tt := range []struct{ name, text string }{
		{"empty", ""},
		{"cut", `{"login":"OctoC`},
		{"null", "null"},
		{"list", "[]"},
		{"garbage", "\x00\xff"},
		{"numbers", `{"login":1,"teams":2,"keys":3,"etag":4,"body":5,"failed":6}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.allows("octocat", "OctoCat")
			w.allows("deploy", "bob")
			w.eachFile(func(path string) { w.write(path, tt.text) })
			w.allows("octocat", "OctoCat")
			w.allows("deploy", "bob")
			w.refuses("deploy", "OctoCat", "not a member")
		})
	}
	t.Run("wiped", func(t *testing.T) {
		w := newWorld(t)
		w.allows("octocat", "OctoCat")
		if err := os.RemoveAll(w.conf.Cache.Dir); err != nil {
			t.Fatal(err)
		}
		w.allows("octocat", "OctoCat")
	})
	t.Run("can't be written", func(t *testing.T) {
		w := newWorld(t)
		w.restart()
		w.svc.Known.Dir = nil
		k, _ := pubkey.ParseLine(testKey("OctoCat"))
		if d, err := w.svc.Decide(context.Background(), "octocat", &k); err != nil || !d.Allowed() {
			t.Errorf("refused without a cache: %v %v", d.Why, err)
		}
		k, _ = pubkey.ParseLine(testKey("bob"))
		for account, want := range map[string]bool{"deploy": true, "octocat": false, "alice": false} {
			if d, err := w.svc.Decide(context.Background(), account, &k); err != nil || d.Allowed() != want {
				t.Errorf("%q without a cache: %v %v", account, d.Why, err)
			}
		}
	})
}

func (w *world) eachFile(do func(path string)) {
	w.t.Helper()
	err := filepath.WalkDir(w.conf.Cache.Dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			do(path)
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// TestClockJumps: an entry from the future is not fresh for years, and GitHub's
// wish to be left alone for an hour does not last a year.
func TestClockJumps(t *testing.T) {
	w := newWorld(t)
	w.allows("octocat", "OctoCat")
	w.later(-48 * time.Hour)
	w.calls()
	w.allows("octocat", "OctoCat")
	if n := w.calls(); n != 3 {
		t.Errorf("set back: %d calls, want 3", n)
	}
	w.github.Break(fault("", status(429, "Retry-After", "3600")))
	w.failsAs("alice", "alice-gh", known.Limited)
	w.github.Break(nil)
	w.later(-300 * 24 * time.Hour)
	w.allows("alice", "alice-gh")
	w.later(600 * 24 * time.Hour)
	w.github.Break(fault("", hang))
	w.conf.GitHub.Timeout = 100 * time.Millisecond
	w.failsAs("octocat", "OctoCat", known.Broken)
}

func TestTheTokenIsNowhere(t *testing.T) {
	w := newWorld(t)
	w.allows("octocat", "OctoCat")
	w.allows("deploy", "bob")
	w.github.Break(func(rw http.ResponseWriter, r *http.Request) bool {
		rw.Header().Set("Content-Type", "application/json")
		rw.WriteHeader(500)
		fmt.Fprint(rw, r.Header) // a server that says everything back
		return true
	})
	w.later(6 * time.Minute)
	d := w.allows("octocat", "OctoCat")
	_, err := w.decide("alice", "alice-gh")
	if said := fmt.Sprint(err, d.Steps, d.Why); strings.Contains(said, testToken) {
		t.Errorf("it is in %q", said)
	}
	seen := 0
	w.eachFile(func(path string) {
		seen++
		if text, _ := os.ReadFile(path); strings.Contains(string(text), testToken) {
			t.Errorf("it is in %s", path)
		}
	})
	if seen < 5 {
		t.Errorf("the cache has %d files; nothing was tested", seen)
	}
}

func TestABrokenTokenFileIsNotShown(t *testing.T) {
	for _, text := range []string{"", "\n\n", "ghp_se cret", "ghp_secret\nghp_secret2", strings.Repeat("ghp_secret", 200), "ghp_secret\x7f"} {
		w := newWorld(t)
		w.write(w.conf.GitHub.TokenFile, text)
		_, err := w.decide("octocat", "OctoCat")
		if !known.Is(err, known.BadToken) || strings.Contains(err.Error(), "ghp") {
			t.Errorf("token %q: %v", text, err)
		}
		if n := w.calls(); n != 0 {
			t.Errorf("token %q was sent", text)
		}
	}
}

func TestTheCachesModes(t *testing.T) {
	w := newWorld(t)
	w.allows("octocat", "OctoCat")
	w.allows("deploy", "bob")
	for name, want := range map[string]fs.FileMode{
		"people": 0o700, "teams": 0o700, "etags": 0o700, "locks": 0o700, "logins": 0o644, "state": 0, "bulk": 0o644,
	} {
		info, err := os.Stat(filepath.Join(w.conf.Cache.Dir, name))
		if err == nil && info.Mode().Perm() != want && want != 0 {
			t.Errorf("%s has mode %04o, want %04o", name, info.Mode().Perm(), want)
		}
		if err != nil && want != 0 {
			t.Error(err)
		}
	}
	if err := os.Chmod(w.conf.Cache.Dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if s := known.Open(w.conf); s.Why == nil {
		t.Error("a directory that everybody may write is taken for the cache")
	}
}

func TestTheListOfKeysIsGone(t *testing.T) {
	w := newWorld(t)
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"logins", "accounts/deploy"} {
		_ = os.Remove(filepath.Join(w.conf.Cache.Dir, name))
	}
	w.allows("deploy", "bob")
	w.refuses("deploy", "OctoCat", "")
}
